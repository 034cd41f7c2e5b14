"""The decision about a ``join``: who asks for a seat, and may this user enter the channel?"""

import hmac

from attrs import frozen

from gateway.gateway import Gateway
from gateway.identity.rights import EVERYBODY, Rights
from gateway.identity.tokens import TokenRefused
from protocol.errors import ErrorCode, RequestError
from protocol.requests import Join


@frozen
class AdmittedJoin:
    """A ``join`` that is allowed: the id of the request, its ``data``, and the rights of its client."""

    id: int
    data: Join
    rights: Rights


def check_identity(gateway: Gateway, join: Join) -> Rights:
    """Check the token of a ``join``, and return the rights of its client.

    Raises :exc:`TokenRefused` for a wrong token. Raises :exc:`RequestError` if the token does not allow this join.
    """
    if gateway.tokens is None:
        if not _is_secret(gateway.config.join_token, join.token):
            raise TokenRefused("the token is missing or wrong")
        return EVERYBODY
    rights = gateway.tokens.read_untrusted(join.token, gateway.utc_now().timestamp())
    if join.user_id not in (None, rights.user_id):
        raise RequestError(ErrorCode.FORBIDDEN, "the token is for another user; leave out userId", "data.userId")
    if not rights.may_enter(join.channel_id):
        raise RequestError(ErrorCode.FORBIDDEN, "the token does not allow this channel", "data.channelId")
    return rights


def _is_secret(expected: str | None, given: str | None) -> bool:
    return expected is None or hmac.compare_digest(expected.encode(), (given or "").encode())
