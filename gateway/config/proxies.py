"""Whose word about the address of a client counts.

Behind a reverse proxy every client has the proxy's address. The proxy names the real one in ``X-Forwarded-For``, as
nginx and Caddy do. Any client can send that header, too. So it counts only from trusted proxies, and only the part that
these have written: each proxy appends the address from which the request came to it.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from attrs import frozen

Network = IPv4Network | IPv6Network


def parse_network(text: str) -> Network:
    """Parse an address, or a network such as ``10.0.0.0/8``. Raises ``ValueError``."""
    return ip_network(text.strip("[]"), strict=False)


@frozen
class TrustedProxies:
    """The networks of the trusted proxies."""

    networks: tuple[Network, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TrustedProxies":
        """Make it from settings. Raises ``ValueError`` for what is neither an address nor a network."""
        return cls(tuple(parse_network(text) for text in texts))

    def client_of_untrusted(self, remote: str, forwarded_for: Sequence[str]) -> str:
        """Return the address of the client behind the peer ``remote``, an address with a port.

        ``forwarded_for`` has the values of the header ``X-Forwarded-For``, in their order. Without a trusted proxy, the
        client is the peer. An entry that is no address ends the search: the last trusted proxy before it counts.
        """
        peer = _address(remote)
        if not self.networks or peer is None or not self._trust(peer):
            return remote
        client: IPv4Address | IPv6Address | None = None
        entries = [entry for value in forwarded_for for entry in value.split(",")]
        for entry in reversed(entries):
            found = _address(entry.strip())
            if found is None:
                break
            client = found
            if not self._trust(found):
                break
        return remote if client is None else str(client)

    def trusts(self, remote: str) -> bool:
        """Whether the peer ``remote``, an address with a port, is a trusted proxy."""
        peer = _address(remote)
        return peer is not None and self._trust(peer)

    def _trust(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self.networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in a text with or without a port; an IPv6 address may stand in brackets."""
    for candidate in (text, text.rpartition(":")[0]):
        try:
            address = ip_address(candidate.strip("[]").partition("%")[0])
        except ValueError:
            continue
        return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
    return None
