"""Media parameters of a client: as JSON, through the checks of the wire, to the matching of capabilities."""

import json
from typing import Final

import protocol.media
import sfu.parameters
from gateway.media_objects import convert
from protocol import from_json, to_json
from protocol.constraints import InvalidValueError
from sfu.capabilities import ROUTER_CAPABILITIES
from sfu.errors import InvalidParameters, Unsupported
from sfu.ortc import accept_producer, can_consume, plan_consumer
from sfu.parameters import MediaKind
from tests.ortc.recorded import CHROMIUM

MUTATE_JSON: Final = True


def check(data: bytes) -> None:
    """``data`` is an object with ``kind``, ``rtpParameters`` and ``rtpCapabilities``."""
    try:
        given = json.loads(data)
        kind: MediaKind = "audio" if given["kind"] == "audio" else "video"
        parameters = from_json(given["rtpParameters"], protocol.media.RtpParameters)
        capabilities = from_json(given["rtpCapabilities"], protocol.media.RtpCapabilities)
    except (ValueError, KeyError, TypeError, RecursionError, InvalidValueError):
        return
    assert from_json(to_json(parameters), protocol.media.RtpParameters) == parameters
    assert from_json(to_json(capabilities), protocol.media.RtpCapabilities) == capabilities
    stream = convert(parameters, sfu.parameters.RtpParameters)
    receiver = convert(capabilities, sfu.parameters.RtpCapabilities)
    plan = None
    try:
        plan = accept_producer(kind, stream, ROUTER_CAPABILITIES, default_cname="made-up")
    except (InvalidParameters, Unsupported):
        pass
    else:
        codec, *_ = plan.consumable.codecs
        assert codec.payload_type in plan.spec.payload_types.values()
        assert codec.payload_type in {known.preferred_payload_type for known in ROUTER_CAPABILITIES.codecs}
        assert len(plan.spec.encodings) == max(1, len(stream.encodings))
        assert (plan.consumable.rtcp.cname or "").isprintable()
        assert plan == accept_producer(kind, stream, ROUTER_CAPABILITIES, default_cname="made-up")
    chromium = accept_producer("video", CHROMIUM.produced["vp8"], ROUTER_CAPABILITIES, default_cname="made-up")
    for consumable in [chromium.consumable] if plan is None else [plan.consumable, chromium.consumable]:
        _check_consumer(consumable, receiver)


def _check_consumer(consumable: sfu.parameters.RtpParameters, receiver: sfu.parameters.RtpCapabilities) -> None:
    possible = can_consume(consumable, receiver)
    try:
        consumer = plan_consumer(consumable, receiver, report_interval=1)
    except Unsupported:
        assert not possible
    else:
        assert possible
        assert consumer.format.payload_types
