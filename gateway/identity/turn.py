"""Credentials for TURN servers that last for some hours.

A TURN server relays for everybody who knows its password, and each page must know it. So the page gets one of its own:
the user name says until when it counts, and the password is the keyed hash of that. The server has the same key, and
needs no list of users. This is the scheme of draft-uberti-behave-turn-rest-00, which coturn calls ``use-auth-secret``.
"""

import base64
import hmac
from collections.abc import Iterable

import attrs

from protocol.vocabulary import IceServer


def with_credentials(
    servers: Iterable[IceServer], secret: str | None, user_id: str, expires: float
) -> tuple[IceServer, ...]:
    """Give each TURN server without a credential one that counts until ``expires``, in seconds since 1970.

    Without a ``secret``, the servers stay as they are.
    """
    if secret is None:
        return tuple(servers)
    username = f"{int(expires)}:{user_id}"
    # SHA-1 is what the servers of this scheme expect. A keyed hash does not need a hash without collisions.
    credential = base64.b64encode(hmac.digest(secret.encode(), username.encode(), "sha1")).decode()
    return tuple(
        attrs.evolve(server, username=username, credential=credential) if _needs_one(server) else server
        for server in servers
    )


def _needs_one(server: IceServer) -> bool:
    return server.credential is None and any(url.startswith(("turn:", "turns:")) for url in server.urls)
