"""The HTTP routes of moderators. :mod:`gateway.channel.moderation` makes the decisions."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, cast, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.channel.channels import Channels
from gateway.channel.moderation import ADMIN
from gateway.http.route import Answer, bearer_token, route
from gateway.identity.rights import is_secret
from protocol.errors import RequestError
from protocol.limits import MAX_MEMBERS_LIMIT, MAX_MODERATION_SECONDS
from protocol.vocabulary import Source

_WHOLE_NUMBER: Final = re.compile("[0-9]{1,9}")
_CHANNEL: Final = "/api/channels/{channel_id}"
_PARTICIPANT: Final = _CHANNEL + "/participants/{user_id}"
_Decide = Callable[[Request], None]


def moderation_routes(admin_token: str | None, channels: Channels) -> list[Route]:
    """Return the routes. Without a token to check, they all answer 404."""

    def nothing(_: Request) -> Response:
        raise HTTPException(HTTPStatus.NOT_FOUND)

    if admin_token is None:
        return [route("/api/{path:path}", nothing, "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")]
    decisions = [
        route(path, _require_token(admin_token, _one_of(found)), *found) for path, found in _decisions(channels).items()
    ]
    return [route("/api/channels", _require_token(admin_token, _listing(channels))), *decisions]


def _listing(channels: Channels) -> Answer:
    def list_channels(_: Request) -> Response:
        listed: list[dict[str, Any]] = []
        for name, channel in channels.channels.items():
            state = channel.state
            limit = {} if state.max_members is None else {"maxMembers": state.max_members}
            listed.append({"channelId": name, "members": len(channel.members), "locked": state.locked, **limit})
        return JSONResponse({"channels": listed}, headers={"cache-control": "no-store"})

    return list_channels


def _decisions(channels: Channels) -> dict[str, dict[str, _Decide]]:
    """The decisions of moderators, by path and method."""
    moderation = channels.moderation

    def end(request: Request) -> None:
        moderation.end(request.path_params["channel_id"], by=ADMIN)

    def lock(request: Request) -> None:
        moderation.lock(request.path_params["channel_id"], _seconds_untrusted(request), by=ADMIN)

    def unlock(request: Request) -> None:
        moderation.unlock(request.path_params["channel_id"], by=ADMIN)

    def limit(request: Request) -> None:
        members = _number_untrusted(request, "members", MAX_MEMBERS_LIMIT)
        if members is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "members is missing")
        moderation.limit(request.path_params["channel_id"], members, _seconds_untrusted(request), by=ADMIN)

    def end_limit(request: Request) -> None:
        moderation.end_limit(request.path_params["channel_id"], by=ADMIN)

    def remove(request: Request) -> None:
        moderation.remove(**_participant(request), seconds=_seconds_untrusted(request), by=ADMIN)

    def mute(request: Request) -> None:
        moderation.mute(**_participant(request), source=_source_untrusted(request), by=ADMIN)

    def unmute(request: Request) -> None:
        moderation.unmute(**_participant(request), source=_source_untrusted(request), by=ADMIN)

    return {
        _CHANNEL: {"DELETE": end},
        f"{_CHANNEL}/lock": {"PUT": lock, "DELETE": unlock},
        f"{_CHANNEL}/limit": {"PUT": limit, "DELETE": end_limit},
        _PARTICIPANT: {"DELETE": remove},
        f"{_PARTICIPANT}/mutes/{{source}}": {"PUT": mute, "DELETE": unmute},
    }


def _one_of(decisions: dict[str, _Decide]) -> Answer:
    """Make the decision of the request's method."""

    def decide(request: Request) -> Response:
        try:
            decisions[request.method](request)
        except RequestError as refused:  # there is no such channel, participant or mute
            raise HTTPException(HTTPStatus.NOT_FOUND, refused.message) from refused
        return Response(status_code=HTTPStatus.NO_CONTENT)

    return decide


def _participant(request: Request) -> dict[str, str]:
    return {name: request.path_params[name] for name in ("channel_id", "user_id")}


def _source_untrusted(request: Request) -> Source:
    source = request.path_params["source"]
    if source not in get_args(Source):
        raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no such source, only {', '.join(get_args(Source))}")
    return cast("Source", source)


def _seconds_untrusted(request: Request) -> int | None:
    return _number_untrusted(request, "seconds", MAX_MODERATION_SECONDS)


def _number_untrusted(request: Request, name: str, most: int) -> int | None:
    """Return a number of the query. None if it has none. Raises :exc:`HTTPException` for a bad one."""
    given: Sequence[str] = request.query_params.getlist(name)
    if not given:
        return None
    if len(given) == 1 and _WHOLE_NUMBER.fullmatch(given[0]) and 1 <= int(given[0]) <= most:
        return int(given[0])
    raise HTTPException(HTTPStatus.BAD_REQUEST, f"{name} must be a whole number from 1 to {most}")


def _require_token(admin_token: str, answer: Answer) -> Answer:
    def guarded(request: Request) -> Response:
        if not is_secret(admin_token, bearer_token(request.headers.get("authorization", ""))):
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED, "this needs the admin token", headers={"www-authenticate": "Bearer"}
            )
        return answer(request)

    return guarded
