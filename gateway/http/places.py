"""Places by address: one address may have only so many WebSockets and HTTP requests at a time.

Without this, one machine could take all places of the gateway, although it pays for its work. Many people may share an
address, so the bound is far above what one person needs. Loopback has no bound, because all people behind a proxy on
this machine come from there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from gateway.connection.accounts import site_of
from gateway.http.http1 import HttpError
from gateway.ops.http_refusal import HttpRefusal


class Places:
    """At most ``most`` places for each site, as :func:`site_of` tells sites apart.

    ``what`` names them for clients, and ``refusal`` for the operator.
    """

    def __init__(self, most: int, what: str = "connections", refusal: HttpRefusal = HttpRefusal.ADDRESS_FULL) -> None:
        self.most = most
        self._what = what
        self._refusal = refusal
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        """The number of sites that have a place."""
        return len(self._taken)

    def require(self, remote: str) -> None:
        """Check that an address may have another place. Raises :exc:`HttpError` 429."""
        site = site_of(remote)
        if site is not None and self._taken.get(site, 0) >= self.most:
            why = f"too many {self._what} from this address"
            raise HttpError(HTTPStatus.TOO_MANY_REQUESTS, why, [(b"retry-after", b"5")], self._refusal)

    @contextmanager
    def hold(self, remote: str) -> Iterator[None]:
        """Hold a place of this address while the block runs."""
        site = site_of(remote)
        if site is None:
            yield
            return
        self._taken[site] = self._taken.get(site, 0) + 1
        try:
            yield
        finally:
            self._taken[site] -= 1
            if not self._taken[site]:
                del self._taken[site]
