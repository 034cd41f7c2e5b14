"""Where a bench's servers and its clients live: two network namespaces with one veth pair between them.

On loopback some servers gather no candidates, and a machine's own interfaces would be in their sight.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from tools.namespaces import configure, enter, new_namespaces, path, why_not

SERVER: Final = "10.0.0.1"
CLIENTS: Final = "10.0.0.2"
CARRIER_SECONDS: Final = 5.0


class NoNetwork(Exception):
    """This machine does not let the bench have a network of its own."""


@frozen
class Link:
    """Addresses of its ends; whoever has the link is at the clients'.

    ``prefix`` before a command runs it at the server's end.
    """

    prefix: tuple[str, ...] = ()
    server: str = "127.0.0.1"
    clients: str = "127.0.0.1"


#: No link at all, for servers that take loopback.
LOOPBACK: Final = Link()


@contextmanager
def open_link() -> Iterator[Link]:
    """Be, with this thread and the processes it starts, at the clients' end while the block runs.

    Raises :exc:`NoNetwork`.
    """
    if (reason := why_not()) is not None:
        raise NoNetwork(f"{reason}; the bench needs root on Linux, with iproute2")
    with new_namespaces(2) as (server, clients):
        name = path(server)
        _set_up("lo")
        configure("ip", "link", "add", "uplink", "type", "veth", "peer", "name", "downlink", "netns", name)
        _set_up("uplink", f"{CLIENTS}/24")
        enter(server)
        _set_up("lo")
        _set_up("downlink", f"{SERVER}/24")
        _wait_carrier("downlink")
        enter(clients)
        # The command replaces nsenter, so that its process is the one that was started.
        yield Link(("nsenter", f"--net={name}", "--"), SERVER, CLIENTS)


def _set_up(interface: str, *addresses: str) -> None:
    for address in addresses:
        configure("ip", "address", "add", address, "dev", interface)
    configure("ip", "link", "set", interface, "up")


def _wait_carrier(interface: str) -> None:
    """The kernel tells of a carrier up to a second late, and servers leave an interface without one out."""
    deadline = time.monotonic() + CARRIER_SECONDS
    while "LOWER_UP" not in (seen := configure("ip", "link", "show", "dev", interface)) or "NO-CARRIER" in seen:
        if time.monotonic() > deadline:
            raise NoNetwork(f"the link between server and clients does not come up: {seen.strip()}")
        time.sleep(0.05)
