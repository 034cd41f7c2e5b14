"""TCP listeners, and addresses in the form that people write."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import trio


async def open_listeners(host: str, port: int) -> Sequence[trio.SocketListener]:
    """Open one listener for each address of ``host``, all on the same port. With ``port`` 0 any free port will do.

    Raises ``OSError``.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    if port == 0 and len(listeners) > 1:
        chosen = listeners[0].socket.getsockname()[1]
        for listener in listeners:
            listener.socket.close()
        listeners = await trio.open_tcp_listeners(chosen, host=host)
    return listeners


def show_address(address: Sequence[Any]) -> str:
    """Format an address as ``127.0.0.1:8080`` or ``[::1]:8080``."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(listener: trio.SocketListener, scheme: str = "http") -> str:
    """Return the URL for a browser on this machine. A wildcard address becomes loopback."""
    host, port = listener.socket.getsockname()[:2]
    address = ip_address(host)
    if address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"
    return f"{scheme}://{show_address((host, port))}"


def remote_name(stream: trio.SocketStream) -> str:
    """Return the address of the other end, for the log."""
    try:
        return show_address(stream.socket.getpeername())
    except OSError:  # already disconnected
        return "unknown"
