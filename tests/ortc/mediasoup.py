"""mediasoup's JavaScript as an oracle, and the same questions to this gateway: is it accepted, and as which codec?"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

import protocol.media
import sfu.parameters
from gateway.media_objects import convert
from protocol.constraints import InvalidValueError
from protocol.structuring import structure
from sfu.capabilities import ROUTER_CAPABILITIES
from sfu.errors import SfuError
from sfu.ortc import accept_producer, plan_consumer
from sfu.ortc.codecs import is_red
from sfu.ortc.h264 import profile_of
from sfu.parameters import MediaKind, RtpCodecParameters
from tests.ortc.recorded import Json, to_wire

_ORACLE = Path(__file__).parent / "oracle"


@frozen
class Answer:
    """Whether an object is accepted, and the codec of a stream or consumer: its name, payload type and variant."""

    accepted: bool
    codec: tuple[str, int, str] | None = None
    why: str = ""

    def differs(self, other: "Answer") -> bool:
        return (self.accepted, self.codec) != (other.accepted, other.codec)


class Mediasoup:
    """A Node.js process with mediasoup's ``ortc``, which has a router with our codecs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        # mediasoup has no RED for audio, and refuses a router with it.
        codecs = [{**to_wire(codec), "kind": codec.kind} for codec in ROUTER_CAPABILITIES.codecs if not is_red(codec)]
        assert self._ask("router", codecs=codecs).accepted

    def produce(self, kind: MediaKind, parameters: Json) -> Answer:
        return self._ask("produce", kind=kind, rtpParameters=parameters)

    def capabilities(self, capabilities: Json) -> Answer:
        return self._ask("capabilities", rtpCapabilities=capabilities)

    def consume(self, kind: MediaKind, parameters: Json, capabilities: Json) -> Answer:
        return self._ask("consume", kind=kind, rtpParameters=parameters, rtpCapabilities=capabilities)

    def _ask(self, question: str, **given: Any) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"question": question, **given}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        codec = answer.get("codec")
        return Answer(answer["accepted"], codec and _codec(**codec), answer.get("why", ""))


@contextmanager
def run_mediasoup() -> Iterator[Mediasoup]:
    """The oracle, for as long as the block runs."""
    assert (_ORACLE / "node_modules").is_dir(), "install mediasoup's matching: make .stamps/oracle"
    command = ["node", str(_ORACLE / "oracle.cjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Mediasoup(process)


class Ours:
    """The same questions to this gateway, which reads, converts and matches the object."""

    def produce(self, kind: MediaKind, parameters: Json) -> Answer:
        return _answer(lambda: _produced(kind, parameters).codecs[0])

    def capabilities(self, capabilities: Json) -> Answer:
        return _answer(lambda: _validated(capabilities))

    def consume(self, kind: MediaKind, parameters: Json, capabilities: Json) -> Answer:
        def consume() -> RtpCodecParameters:
            return plan_consumer(_produced(kind, parameters), _validated(capabilities), report_interval=1).codecs[0]

        return _answer(consume)


def _produced(kind: MediaKind, parameters: Json) -> sfu.parameters.RtpParameters:
    read = convert(structure(parameters, protocol.media.RtpParameters), sfu.parameters.RtpParameters)
    return accept_producer(kind, read, ROUTER_CAPABILITIES, default_cname="made-up").consumable


def _validated(capabilities: Json) -> sfu.parameters.RtpCapabilities:
    return convert(structure(capabilities, protocol.media.RtpCapabilities), sfu.parameters.RtpCapabilities)


def _answer(ask: Any) -> Answer:
    try:
        told = ask()
    except InvalidValueError as error:
        return Answer(False, why=f"{error.path}: {error.message}")
    except SfuError as error:
        return Answer(False, why=str(error))
    if not isinstance(told, RtpCodecParameters):
        return Answer(True)
    return Answer(True, _codec(told.mime_type, told.payload_type, told.parameters))


def _codec(mimeType: str, payloadType: int, parameters: Json, **_: Any) -> tuple[str, int, str]:  # noqa: N803 - the wire's
    name = mimeType.lower()
    parameters = parameters or {}  # mediasoup passes an empty array on
    mode = parameters.get("packetization-mode", 0)
    return name, payloadType, f"{profile_of(parameters)} {mode}" if name == "video/h264" else ""
