"""Accounts: what somebody may use of the time of the event loop, however many connections they make.

A client pays for the time that its own tasks use, twice: from the account of its connection, and from that of its
address. The account of an address outlives its connections, so leaving and coming back fills nothing. Many people may
share an address, so it may use several times as much.

Behind a proxy that the gateway does not know, and on loopback, everybody has the same address. So loopback has no
account of its own.
"""

import ipaddress
from collections import OrderedDict
from typing import Final

import trio
from attrs import define, field

from gateway.connection.rates import TokenBucket

IPV6_SITE: Final = 64
"""Bits of an IPv6 address that name a site. Its owner has all addresses behind them."""
MAX_ADDRESSES: Final = 10_000
"""Addresses with an account. Past it the one that was used least lately is forgotten, unless it has a debt."""
FORGIVEN: Final = 64
"""Accounts that are looked at, at most, to find one without a debt."""


@define(eq=False)
class Account:
    """Pays from its own bucket, and from that of its address if there is one."""

    own: TokenBucket
    address: TokenBucket | None = None

    def charge(self, seconds: float) -> None:
        """Pay for so much time of the event loop."""
        now = trio.current_time()
        self.own.charge(seconds, now)
        if self.address is not None:
            self.address.charge(seconds, now)

    def debt(self) -> float:
        """Seconds until everything is paid; 0 without a debt."""
        return max(self.own_debt(), 0.0 if self.address is None else self.address.debt(trio.current_time()))

    def own_debt(self) -> float:
        """The same without the account of the address, which others may have emptied."""
        return self.own.debt(trio.current_time())


@define(eq=False)
class Accounts:
    """The accounts of addresses. ``share`` is the part of the loop's time that an address may use in the long run, and
    ``burst`` the seconds that it may use at once."""

    share: float
    burst: float
    max_addresses: int = MAX_ADDRESSES
    _addresses: OrderedDict[str, TokenBucket] = field(factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._addresses)

    def reconfigure(self, share: float, burst: float) -> None:
        """Change what every address may use. A debt stays."""
        self.share, self.burst = share, burst
        for account in self._addresses.values():
            account.rate, account.burst = share, burst

    def in_debt(self) -> int:
        """How many addresses have used more than they may."""
        now = trio.current_time()
        return sum(account.debt(now) > 0 for account in self._addresses.values())

    def of(self, remote: str) -> TokenBucket | None:
        """The account of the address in ``remote``, an address with or without a port. None for loopback."""
        key = site_of(remote)
        if key is None:
            return None
        account = self._addresses.get(key)
        if account is None:
            self._make_room()
            account = self._addresses[key] = TokenBucket(self.share, self.burst)
        self._addresses.move_to_end(key)
        return account

    def _make_room(self) -> None:
        """Forget an account, if possible one without a debt: somebody may hope to be forgotten."""
        if len(self._addresses) < self.max_addresses:
            return
        now = trio.current_time()
        oldest = list(zip(range(FORGIVEN), self._addresses, strict=False))
        key = next((key for _, key in oldest if not self._addresses[key].debt(now)), oldest[0][1])
        del self._addresses[key]


def share_of_address(places: int) -> int:
    """How many of the places for all one address may have: a quarter of them, and at least one."""
    return max(1, places // 4)


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
