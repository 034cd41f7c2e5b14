"""The host candidates that we offer; ICE-lite has no others (RFC 8445 sections 5.1.1 and 5.2)."""

from collections.abc import Iterable

from sfu.parameters import IceCandidate


def host_candidates(addresses: Iterable[tuple[str, int]]) -> tuple[IceCandidate, ...]:
    """One candidate for each (host, port), IPv6 preferred (RFC 8421), otherwise in the order given.

    Raises ``ValueError`` for what is not a numeric, specified unicast address.
    """
    raise NotImplementedError
