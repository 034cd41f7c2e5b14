"""Whether a request is meant for this gateway: the check of its ``Host`` against DNS rebinding."""

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

import h11

from gateway.config.hosts import AllowedHosts, parse_authority
from gateway.http.http1 import HttpError


def check_host(request: h11.Request, allowed: AllowedHosts) -> None:
    """Check every host that a request names, in ``Host`` and in a target in absolute form.

    A client of HTTP/1.0 may name none. No browser is one, and only a browser can be misled. Headers of proxies, such as
    ``X-Forwarded-Host``, do not count, since any client can send them.

    Raises :exc:`HttpError` 400 for a bad header (RFC 9112 section 3.2), and 421 for another host (RFC 9110 section
    7.4).
    """
    for named in _authorities(request):
        try:
            host = parse_authority(named)
        except ValueError:
            raise HttpError(HTTPStatus.BAD_REQUEST, "the Host of a request must be a name or an address") from None
        if not allowed.allow(host):
            raise HttpError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this gateway does not serve the host {named!r}; its setting allowed_hosts names those that it serves",
            )


def _authorities(request: h11.Request) -> Iterator[str]:
    if not request.target.startswith(b"/"):
        yield urlsplit(request.target).netloc.decode("latin-1")
    for name, value in request.headers:
        if name == b"host":
            yield value.decode("latin-1")
