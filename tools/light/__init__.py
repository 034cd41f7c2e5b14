"""Light clients: the client's side of a transport without codecs, cheap enough to have hundreds."""

from tools.light.client import LightClient, open_light_client
from tools.light.endpoint import LightEndpoint, open_endpoint, run_endpoint
from tools.light.transport import Identity, LightTransport

__all__ = [
    "Identity",
    "LightClient",
    "LightEndpoint",
    "LightTransport",
    "open_endpoint",
    "open_light_client",
    "run_endpoint",
]
