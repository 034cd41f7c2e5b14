"""Where forwarded packets go: out of an interface, as into a card, and to nobody.

Receivers on the same machine would need more of its cores than the gateway.  So once they are connected, the server's
namespace sends everything in UDP into a veth pair of its own, whose other end drops it at once: the frames are for
another machine.  The pair takes no segmented sends, so that each packet is made and counted by itself, as it is for
most cards.  TCP goes on as before, and so does what clients send.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.bench.network import Link
from tools.namespaces import configure

INTERFACE: Final = "sink"
_OTHER_END: Final = "drain"
_TABLE: Final = "100"
# Documentation's (RFC 5737) and locally administered: nobody's.
_GATEWAY: Final = "192.0.2.1"
_NOBODY: Final = "02:00:00:00:00:99"
_SENT_PACKETS: Final = 9


@contextmanager
def open_sink(link: Link) -> Iterator[None]:
    """Everything in UDP that leaves the server's end goes nowhere while the block runs."""

    def ip(*arguments: str) -> None:
        configure(*link.prefix, "ip", *arguments)

    ip("link", "add", INTERFACE, "type", "veth", "peer", "name", _OTHER_END)
    try:
        ip("link", "set", INTERFACE, "gso_max_segs", "1", "up")
        ip("link", "set", _OTHER_END, "up")
        ip("neighbour", "add", _GATEWAY, "lladdr", _NOBODY, "dev", INTERFACE, "nud", "permanent")
        ip("route", "add", "default", "via", _GATEWAY, "dev", INTERFACE, "onlink", "table", _TABLE)
        ip("rule", "add", "ipproto", "udp", "lookup", _TABLE)
        yield
    finally:
        configure(*link.prefix, "sh", "-c", f"ip rule del lookup {_TABLE}; ip link del {INTERFACE}")


def sent(pid: int) -> int:
    """Packets that went into the sink so far, by the interface's own counter; ``pid`` is in the server's namespace."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, found, counts = line.partition(":")
        if found and name.strip() == INTERFACE:
            return int(counts.split()[_SENT_PACKETS])
    raise LookupError(f"there is no interface {INTERFACE}")


def dropped(pid: int) -> int:
    """Datagrams so far that did not fit into the UDP sockets of the server's namespace."""
    lines = Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines)
