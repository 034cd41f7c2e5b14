"""Light clients: the client's side of signalling and media, without codecs.  One process can run hundreds."""

from tools.light.client import LightClient, open_light_client
from tools.light.decoding import SharedDecoder
from tools.light.endpoint import DatagramCounts, LightEndpoint, open_endpoint, run_endpoint
from tools.light.histogram import Histogram
from tools.light.light_media import BadAnswerError, Layer, LightMedia
from tools.light.loss import NetworkLoss, RandomLoss
from tools.light.packet_counts import PacketCounts
from tools.light.packet_meter import PacketMeter
from tools.light.poller import Poller
from tools.light.stream_meter import StreamMeter
from tools.light.transport import Identity, LightTransport

__all__ = [
    "BadAnswerError",
    "DatagramCounts",
    "Histogram",
    "Identity",
    "Layer",
    "LightClient",
    "LightEndpoint",
    "LightMedia",
    "LightTransport",
    "NetworkLoss",
    "PacketCounts",
    "PacketMeter",
    "Poller",
    "RandomLoss",
    "SharedDecoder",
    "StreamMeter",
    "open_endpoint",
    "open_light_client",
    "run_endpoint",
]
