"""Removals for a time: the users and addresses that a moderator keeps out of a channel for some seconds."""

import ipaddress
from typing import Final

from attrs import define, field

MAX_SECONDS: Final = 30 * 24 * 3600
"""The longest removal: a month."""
IPV6_SITE: Final = 64
"""Bits of an IPv6 address that name a site. One machine has all addresses behind them."""


@define(eq=False)
class Removals:
    """The times, on the clock of ``trio.current_time()``, until which users and addresses are kept out of channels.

    There are at most ``maximum``. Past it, the one that ends first is forgotten.
    """

    maximum: int
    # By channel, and user id or site. No user id has the slash that ends each site.
    _until: dict[tuple[str, str], float] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._until)

    def add(self, channel_id: str, name: str, until: float, now: float) -> None:
        """Keep a user id, or a site that :func:`site_of` returned, out of a channel until this time."""
        self._until = {key: end for key, end in self._until.items() if end > now}
        self._until.pop((channel_id, name), None)
        if len(self._until) >= self.maximum:
            del self._until[min(self._until, key=self._until.__getitem__)]
        self._until[channel_id, name] = until

    def seconds_left(self, channel_id: str, user_id: str, remote: str, now: float) -> float:
        """The seconds for which the user, or the address in ``remote``, is still kept out. 0 if neither is."""
        names = (user_id, site_of(remote))
        return max(self._until.get((channel_id, name), now) - now for name in names if name is not None)


def site_of(remote: str) -> str | None:
    """Return the site of an address with or without a port, such as ``192.0.2.1/32`` or ``2001:db8::/64``.

    None for loopback, where everybody behind a proxy on this machine has the same address. None also for a text that
    is no address.
    """
    for text in (remote, remote.rpartition(":")[0]):
        try:
            address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        # On a link, all machines share the first 64 bits.
        bits = IPV6_SITE if address.version == 6 and not address.is_link_local else address.max_prefixlen
        return None if address.is_loopback else str(ipaddress.ip_network((address, bits), strict=False))
    return None
