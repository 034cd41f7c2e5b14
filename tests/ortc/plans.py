"""Plans for recorded streams."""

from sfu.capabilities import ROUTER_CAPABILITIES
from sfu.ortc import ProducerPlan, accept_producer
from sfu.parameters import MediaKind, RtpParameters
from tests.ortc.recorded import Client

DEFAULT_CNAME = "made-up"


def accept(parameters: RtpParameters, kind: MediaKind = "video", *, paused: bool = False) -> ProducerPlan:
    return accept_producer(kind, parameters, ROUTER_CAPABILITIES, default_cname=DEFAULT_CNAME, paused=paused)


def plan(client: Client, name: str) -> ProducerPlan:
    return accept(client.produced[name], "audio" if name.startswith("opus") else "video")
