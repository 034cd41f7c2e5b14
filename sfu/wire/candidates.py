"""The host candidates of the router.  ICE-lite has no other kind (RFC 8445 sections 5.1.1 and 5.2).

Beside UDP candidates there may be passive TCP ones (RFC 6544).
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

from sfu.parameters import IceCandidate

_HOST_PREFERENCE: Final = 126
_TCP_PREFERENCE: Final = 90
"""RFC 6544 section 4.2: media over TCP is the last choice, since a lost segment delays all that follow."""
_PASSIVE_PREFERENCE: Final = 4 << 13
_RTP_COMPONENT: Final = 1


def host_candidates(addresses: Iterable[tuple[str, int]]) -> tuple[IceCandidate, ...]:
    """One candidate for each (host, port): loopback last, IPv6 before IPv4 (RFC 8421), otherwise in the order given.

    Raises ``ValueError`` for a host that is not a numeric, specified unicast address.
    """
    return tuple(_candidate(rank, *address) for rank, address in enumerate(_by_preference(addresses)))


def passive_tcp_candidates(
    addresses: Iterable[tuple[str, int]], others: Iterable[IceCandidate] = ()
) -> tuple[IceCandidate, ...]:
    """One passive TCP candidate for each (host, port), in the order of :func:`host_candidates`.

    Their priorities are below those of all UDP candidates.  ``others`` are the candidates beside them.  Raises
    ``ValueError`` for a host that is not a numeric, specified unicast address.
    """
    taken = len(tuple(others))
    return tuple(_passive(rank, taken, *address) for rank, address in enumerate(_by_preference(addresses)))


def _by_preference(addresses: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    checked = [(_unicast(host), port) for host, port in addresses]
    preferred = sorted(checked, key=lambda each: (each[0].is_loopback, -each[0].version))
    return [(str(address), port) for address, port in preferred]


def _candidate(rank: int, address: str, port: int) -> IceCandidate:
    # Candidates on different addresses never share a foundation (RFC 8445 section 5.1.1.3), so a counter will do.
    return IceCandidate(
        foundation=str(rank + 1),
        priority=_priority(_HOST_PREFERENCE, 65535 - rank),
        address=address,
        ip=address,
        port=port,
    )


def _passive(rank: int, taken: int, address: str, port: int) -> IceCandidate:
    # RFC 6544 section 4.2: the local preference begins with that of the direction, in 3 of 16 bits.
    local_preference = _PASSIVE_PREFERENCE + (1 << 13) - 1 - rank
    return IceCandidate(
        foundation=str(taken + rank + 1),
        priority=_priority(_TCP_PREFERENCE, local_preference),
        address=address,
        ip=address,
        port=port,
        protocol="tcp",
        tcp_type="passive",
    )


def _priority(type_preference: int, local_preference: int) -> int:
    """RFC 8445 section 5.1.2.1; ``local_preference`` is 0–65535 and differs between an agent's candidates."""
    return (type_preference << 24) + (local_preference << 8) + 256 - _RTP_COMPONENT


def _unicast(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host)
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"nobody can send to {host}")
    return address
