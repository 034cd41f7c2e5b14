"""Discards forwarded packets behind an interface, as a network card takes them.

Receivers on the same machine would need more of its cores than the gateway. So, once they are connected, the server's
namespace sends all UDP into a second veth pair. The pair's other end drops the frames, because their address is another
machine's. The pair takes no segmented sends: the kernel makes and counts each packet by itself, as for most cards. TCP
and the clients' own packets are not affected.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tools.bench.network import ServerLink
from tools.namespaces import configure

INTERFACE: Final = "sink"
_OTHER_END: Final = "drain"
_TABLE: Final = "100"
# An address for documentation (RFC 5737) and a locally administered one: no host has them.
_GATEWAY: Final = "192.0.2.1"
_NOBODY: Final = "02:00:00:00:00:99"
_SENT_PACKETS: Final = 9


@contextmanager
def open_sink(link: ServerLink) -> Iterator[None]:
    """Discard all UDP that leaves the server's end while the block runs."""

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
    """Return the packets that went into the sink so far; ``pid`` is a process in the server's namespace."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        name, found, counts = line.partition(":")
        if found and name.strip() == INTERFACE:
            return int(counts.split()[_SENT_PACKETS])
    raise LookupError(f"there is no interface {INTERFACE}")
