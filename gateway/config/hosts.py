"""Host names and addresses, as settings and ``Host`` headers write them (RFC 9110 section 7.2).

A page of another site can give its own name the address of this gateway (DNS rebinding). The browser then takes the
gateway for that site, and sends the site's name in ``Host``. So the gateway answers only for names that it knows. An
address or a loopback name cannot be given another address, so these are always safe.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from attrs import frozen

Host = str | IPv4Address | IPv6Address
"""A host: an address, or a name in lower case without a final dot."""

_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]{0,5})?", re.ASCII)


def parse_host(text: str) -> Host:
    """Parse a name or an address. An IPv6 address may stand in brackets.

    Raises ``ValueError`` for everything else: a port, a scheme, a pattern, letters outside ASCII.
    """
    text = text.lower()
    if text.startswith("[") and text.endswith("]"):
        return IPv6Address(text[1:-1])
    try:
        return ip_address(text)
    except ValueError:
        name = text.removesuffix(".")
        if not _NAME.fullmatch(name):
            raise ValueError("neither a name nor an address") from None
        return name


def parse_authority(text: str) -> Host:
    """Parse the value of a ``Host`` header: a host, perhaps with a port. Raises ``ValueError``."""
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        raise ValueError("not a host with a port")
    return parse_host(parts[1])


def is_loopback(host: Host) -> bool:
    """Whether a host always means this machine. Such names are ``localhost`` and all below it (RFC 6761 section
    6.3)."""
    if isinstance(host, str):
        return host == "localhost" or host.endswith(".localhost")
    mapped = host.ipv4_mapped if isinstance(host, IPv6Address) else None
    return (mapped or host).is_loopback


@frozen
class AllowedHosts:
    """The hosts for which a gateway answers: every address, loopback names, and ``names``."""

    names: frozenset[Host]

    @classmethod
    def of(cls, hosts: Iterable[str]) -> "AllowedHosts":
        """Make it from settings. A host that no ``Host`` header can name is left out."""
        names = set()
        for host in hosts:
            try:
                names.add(parse_host(host))
            except ValueError:
                continue
        return cls(frozenset(names))

    def allow(self, host: Host) -> bool:
        """Whether the gateway answers for this host."""
        return not isinstance(host, str) or is_loopback(host) or host in self.names
