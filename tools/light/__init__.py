"""Light clients: the client's side of a transport without codecs, cheap enough to have hundreds."""

from tools.light.client import BadAnswerError, LightClient, open_light_client
from tools.light.decoding import SharedDecoder
from tools.light.endpoint import LightEndpoint, Traffic, open_endpoint, run_endpoint
from tools.light.histogram import Histogram
from tools.light.poller import Poller
from tools.light.reception import Counts, Reception, StreamMeter
from tools.light.transport import Identity, LightTransport

__all__ = [
    "BadAnswerError",
    "Counts",
    "Histogram",
    "Identity",
    "LightClient",
    "LightEndpoint",
    "LightTransport",
    "Poller",
    "Reception",
    "SharedDecoder",
    "StreamMeter",
    "Traffic",
    "open_endpoint",
    "open_light_client",
    "run_endpoint",
]
