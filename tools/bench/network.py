"""Two network namespaces with a veth pair between them: one for the server, one for the clients.

Some servers gather no candidates on loopback. In a namespace, no server sees the machine's own interfaces.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from tools.bench import BenchError
from tools.namespaces import configure, enter, new_namespaces, path, why_not

SERVER: Final = "10.0.0.1"
CLIENTS: Final = "10.0.0.2"
CARRIER_SECONDS: Final = 5.0


class NoNetwork(BenchError):
    """The bench cannot make network namespaces here. The text says why."""


@frozen
class ServerLink:
    """The addresses of both ends.

    The bench itself is at the clients' end. ``prefix`` is the command that runs another one at the server's end.
    """

    prefix: tuple[str, ...] = ()
    server: str = "127.0.0.1"
    clients: str = "127.0.0.1"


#: Loopback in place of a link, for servers that work there.
LOOPBACK: Final = ServerLink()


@contextmanager
def open_link() -> Iterator[ServerLink]:
    """Move this thread, and the processes that it starts, to the clients' end while the block runs.

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
        # nsenter becomes the command, so the started process is the server itself.
        yield ServerLink(("nsenter", f"--net={name}", "--"), SERVER, CLIENTS)


def _set_up(interface: str, *addresses: str) -> None:
    for address in addresses:
        configure("ip", "address", "add", address, "dev", interface)
    configure("ip", "link", "set", interface, "up")


def _wait_carrier(interface: str) -> None:
    """Wait for the carrier. The kernel may report it a second late, and servers ignore interfaces without one."""
    deadline = time.monotonic() + CARRIER_SECONDS
    while "LOWER_UP" not in (seen := configure("ip", "link", "show", "dev", interface)) or "NO-CARRIER" in seen:
        if time.monotonic() > deadline:
            raise NoNetwork(f"the link between server and clients does not come up: {seen.strip()}")
        time.sleep(0.05)


def dropped_datagrams(process: int | str = "thread-self") -> int:
    """Return how many datagrams did not fit into the UDP sockets of this process's namespace so far."""
    lines = Path(f"/proc/{process}/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines)
