"""mediasoup's JavaScript as an oracle, and the same questions to this gateway: is it accepted, and as which codec?"""

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

import protocol.media
import sfu.parameters
from gateway.media_objects import convert
from protocol.constraints import InvalidValueError
from protocol.structuring import structure
from sfu.capabilities import NACK, ROUTER_CAPABILITIES
from sfu.errors import SfuError
from sfu.ortc import ProducerPlan, accept_producer, plan_consumer
from sfu.ortc.codecs import is_media, repeats
from sfu.ortc.h264 import profile_of
from sfu.parameters import MediaKind, RtpCodecParameters
from tests.ortc.recorded import Json, to_wire

_ORACLE = Path(__file__).parent / "oracle"


@frozen
class Answer:
    """Whether an object is accepted, and the codec of a stream or consumer: its name, payload type and variant.

    ``rtx`` are the payload types of its retransmissions.  ``nack`` and ``transport_cc`` say whether the receiver may
    send NACKs and transport-wide feedback.
    """

    accepted: bool
    codec: tuple[str, int, str] | None = None
    rtx: tuple[int, ...] = ()
    nack: bool = False
    transport_cc: bool = False
    why: str = ""

    def differs(self, other: "Answer") -> bool:
        """Whether one is accepted and the other not, or with another codec."""
        return (self.accepted, self.codec) != (other.accepted, other.codec)

    def repairs_otherwise(self, other: "Answer") -> bool:
        """Whether lost packets of the same codec come again under other payload types, or only with one of them."""
        return not self.differs(other) and (self.rtx, self.nack) != (other.rtx, other.nack)


class Mediasoup:
    """A Node.js process with mediasoup's ``ortc``, which has a router with our codecs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        # mediasoup adds retransmissions itself.  It has no RED for audio, and refuses a router with it.
        codecs = [{**to_wire(codec), "kind": codec.kind} for codec in ROUTER_CAPABILITIES.codecs if is_media(codec)]
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
        rtx, nack = tuple(answer.get("rtx", ())), answer.get("nack", False)
        transport_cc = answer.get("transportCc", False)
        return Answer(answer["accepted"], codec and _codec(**codec), rtx, nack, transport_cc, answer.get("why", ""))


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
        def produce() -> Answer:
            plan = _produced(kind, parameters)
            return _accepted(plan.consumable.codecs[0], sorted(plan.spec.rtx_payload_types), plan.spec.nack)

        return _answer(produce)

    def capabilities(self, capabilities: Json) -> Answer:
        def read() -> Answer:
            _validated(capabilities)
            return Answer(True)

        return _answer(read)

    def consume(self, kind: MediaKind, parameters: Json, capabilities: Json) -> Answer:
        def consume() -> Answer:
            consumable = _produced(kind, parameters).consumable
            codec, *others = plan_consumer(consumable, _validated(capabilities), report_interval=1).codecs
            rtx = [other.payload_type for other in others if repeats(other) == codec.payload_type]
            return _accepted(codec, rtx, NACK in codec.rtcp_feedback)

        return _answer(consume)


def _produced(kind: MediaKind, parameters: Json) -> ProducerPlan:
    read = convert(structure(parameters, protocol.media.RtpParameters), sfu.parameters.RtpParameters)
    return accept_producer(kind, read, ROUTER_CAPABILITIES, default_cname="made-up")


def _validated(capabilities: Json) -> sfu.parameters.RtpCapabilities:
    return convert(structure(capabilities, protocol.media.RtpCapabilities), sfu.parameters.RtpCapabilities)


def _answer(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except InvalidValueError as error:
        return Answer(False, why=f"{error.path}: {error.message}")
    except SfuError as error:
        return Answer(False, why=str(error))


def _accepted(codec: RtpCodecParameters, rtx: Iterable[int], nack: bool) -> Answer:
    return Answer(True, _codec(codec.mime_type, codec.payload_type, codec.parameters), tuple(rtx), nack)


def _codec(mimeType: str, payloadType: int, parameters: Json, **_: Any) -> tuple[str, int, str]:  # noqa: N803 - the wire's
    name = mimeType.lower()
    parameters = parameters or {}  # mediasoup passes an empty array on
    mode = parameters.get("packetization-mode", 0)
    return name, payloadType, f"{profile_of(parameters)} {mode}" if name == "video/h264" else ""
