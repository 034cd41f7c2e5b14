"""Origins of web pages (RFC 6454), compared as browsers do: the default port of a scheme may be left out."""

import re
from ipaddress import IPv6Address
from typing import Final

from attrs import frozen

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https"}
MAX_PORT: Final = 65535
# Browser extensions and applications have schemes of their own, some without a host.
_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._~-]*|\[[0-9a-f:.]+\])(?::([0-9]{0,5}))?/?", re.ASCII)


@frozen
class Origin:
    """The origin of a page. ``port`` is the written one, or the default port of the scheme. None if the scheme has no
    default port."""

    scheme: str
    host: str
    port: int | None

    def matches_host(self, host: str, *, is_secure: bool = False) -> bool:
        """Whether the origin is the site that a ``Host`` header names. Both HTTP and HTTPS match, since a proxy may
        have ended TLS. If the request came over TLS (``is_secure``), only HTTPS matches."""
        if self.scheme not in _DEFAULT_PORTS or (is_secure and self.scheme != "https"):
            return False
        try:
            return self == parse_origin(f"{self.scheme}://{host}")
        except ValueError:
            return False


NULL: Final = Origin("null", "", None)
"""The origin that pages without an origin send: files and sandboxed frames."""


def parse_origin(text: str) -> Origin:
    """Parse ``https://call.example.org:8443`` or ``null``. ``wss`` counts as ``https``, and a final slash does not
    count.

    Raises ``ValueError`` for everything else: a path, a pattern, a host alone, letters outside ASCII.
    """
    if text == "null":
        return NULL
    parts = _ORIGIN.fullmatch(text.lower())
    if parts is None:
        raise ValueError("not an origin")
    scheme, host, digits = parts[1], parts[2], parts[3]
    scheme = _PAGE_SCHEMES.get(scheme, scheme)
    if host.startswith("["):
        host = IPv6Address(host[1:-1]).compressed
    if not host and scheme in _DEFAULT_PORTS:
        raise ValueError("an origin without a host")
    port = int(digits) if digits else _DEFAULT_PORTS.get(scheme)
    if port is not None and port > MAX_PORT:
        raise ValueError("not a port")
    return Origin(scheme, host, port)
