"""The host candidates of the router.  ICE-lite has no other kind (RFC 8445 sections 5.1.1 and 5.2)."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from sfu.parameters import IceCandidate

_HOST_PREFERENCE: Final = 126
_RTP_COMPONENT: Final = 1


def host_candidates(addresses: Iterable[tuple[str, int]]) -> tuple[IceCandidate, ...]:
    """One candidate for each (host, port): loopback last, IPv6 before IPv4 (RFC 8421), otherwise in the order given.

    Raises ``ValueError`` for a host that is not a numeric, specified unicast address.
    """
    checked = [(_unicast(host), port) for host, port in addresses]
    preferred = sorted(checked, key=lambda each: (each[0].is_loopback, -each[0].version))
    return tuple(_candidate(rank, str(address), port) for rank, (address, port) in enumerate(preferred))


def _candidate(rank: int, address: str, port: int) -> IceCandidate:
    # Candidates on different addresses never share a foundation (RFC 8445 section 5.1.1.3), so a counter will do.
    return IceCandidate(
        foundation=str(rank + 1), priority=_priority(65535 - rank), address=address, ip=address, port=port
    )


def _priority(local_preference: int) -> int:
    """RFC 8445 section 5.1.2.1; ``local_preference`` is 0–65535 and differs between an agent's candidates."""
    return (_HOST_PREFERENCE << 24) + (local_preference << 8) + 256 - _RTP_COMPONENT


def _unicast(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host)
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"nobody can send to {host}")
    return address
