"""Light clients: the client's side of a transport without codecs, cheap enough to have hundreds of."""

from tools.light.endpoint import LightEndpoint, open_endpoint
from tools.light.transport import LightTransport

__all__ = ["LightEndpoint", "LightTransport", "open_endpoint"]
