"""The decision about a ``join``: who asks for a seat, and may this user enter the channel?"""

import trio
from attrs import frozen

from gateway.connection import end_reasons
from gateway.gateway import Gateway
from gateway.identity.rights import EVERYBODY, Rights, is_secret
from gateway.identity.tokens import TokenRefused
from protocol.errors import ErrorCode, RequestError
from protocol.requests import Join


@frozen
class AdmittedJoin:
    """A ``join`` that is allowed: the id of the request, its ``data``, and the rights of its client."""

    id: int
    data: Join
    rights: Rights


class NoRoom(RequestError):
    """The gateway takes no newcomers now."""

    def __init__(self) -> None:
        why = end_reasons.NO_ROOM
        super().__init__(ErrorCode.RATE_LIMITED, why.text, retry_after_ms=why.retry_after_ms)


def require_room(gateway: Gateway, join: Join, rights: Rights) -> None:
    """Check that there is room for a newcomer. A client that has a seat, or lost one a moment ago, is none.

    Raises :exc:`NoRoom`.
    """
    if not gateway.has_room_in(join.channel_id) and not _is_inside(gateway, join, rights):
        raise NoRoom


def _is_inside(gateway: Gateway, join: Join, rights: Rights) -> bool:
    user_id = rights.user_id or join.user_id
    if user_id is None:
        return False
    # The owner of a token has proven who it is, and needs no secret.
    secret = None if rights.user_id is not None else join.session_secret or ""
    channel = gateway.channels.channels.get(join.channel_id)
    holder = None if channel is None else channel.members.get(user_id)
    if holder is not None and (secret is None or is_secret(holder.secret, secret)):
        return True
    return gateway.lost_seats.is_owner(join.channel_id, user_id, secret, trio.current_time())


def check_identity(gateway: Gateway, join: Join) -> Rights:
    """Check the token of a ``join``, and return the rights of its client.

    Raises :exc:`TokenRefused` for a wrong token. Raises :exc:`RequestError` if the token does not allow this join.
    """
    if gateway.tokens is None:
        if not is_secret(gateway.config.join_token, join.token):
            raise TokenRefused("the token is missing or wrong")
        return EVERYBODY
    rights = gateway.tokens.read_untrusted(join.token, gateway.utc_now().timestamp())
    if join.user_id not in (None, rights.user_id):
        raise RequestError(ErrorCode.FORBIDDEN, "the token is for another user; leave out userId", "data.userId")
    if not rights.may_enter(join.channel_id):
        raise RequestError(ErrorCode.FORBIDDEN, "the token does not allow this channel", "data.channelId")
    return rights


def check_renewal(gateway: Gateway, present: Rights, channel_id: str, token: str) -> Rights:
    """Check a token that a member of this channel gives in the place of its present one. Return the new rights.

    Raises :exc:`RequestError`: ``conflict`` if the gateway asks for no token of a user, ``unauthenticated`` for a wrong
    token, and ``forbidden`` for one of another user or another channel.
    """
    if gateway.tokens is None:
        raise RequestError(ErrorCode.CONFLICT, "this gateway asks for no token that could be renewed")
    try:
        rights = gateway.tokens.read_untrusted(token, gateway.utc_now().timestamp())
    except TokenRefused as refused:
        raise RequestError(ErrorCode.UNAUTHENTICATED, str(refused), "data.token") from refused
    if rights.user_id != present.user_id:
        raise RequestError(ErrorCode.FORBIDDEN, "the token is for another user", "data.token")
    if not rights.may_enter(channel_id):
        raise RequestError(ErrorCode.FORBIDDEN, "the token does not allow this channel", "data.token")
    return rights
