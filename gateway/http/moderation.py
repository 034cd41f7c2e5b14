"""The HTTP routes under ``/api`` for the holder of the admin token: the decisions of moderators, and those of
:mod:`gateway.http.channel_routes`. :mod:`gateway.channel.moderation` makes the decisions."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, cast, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.channel.channels import Channels
from gateway.channel.moderation import ADMIN, Moderation
from gateway.config import Config
from gateway.http import openapi
from gateway.http.api_objects import PathIds
from gateway.http.channel_routes import CHANNEL, PARTICIPANT, REMOVAL, Mover, channel_answers
from gateway.http.route import BodyAnswer, bearer_token, route, routes_of
from gateway.identity.rights import is_secret
from protocol.codec import from_json
from protocol.constraints import InvalidValueError
from protocol.errors import RequestError
from protocol.limits import MAX_MEMBERS_LIMIT, MAX_MODERATION_SECONDS
from protocol.vocabulary import Source

_WHOLE_NUMBER: Final = re.compile("[0-9]{1,9}")
_PATH_NAMES: Final = {"channel_id": "channelId", "user_id": "userId"}
_QUERIES: Final = {
    ("PUT", f"{CHANNEL}/lock"): ("seconds",),
    ("PUT", f"{CHANNEL}/limit"): ("members", "seconds"),
    ("DELETE", PARTICIPANT): ("seconds",),
}
"""The names that the query of a request may have, by method and path."""
_Decide = Callable[[Request], None]


def moderation_routes(config: Config, channels: Channels, move: Mover) -> list[Route]:
    """Return the routes. Without a token to check, they all answer 404."""

    def nothing(_: Request) -> Response:
        raise HTTPException(HTTPStatus.NOT_FOUND)

    admin_token = config.admin_token
    if admin_token is None:
        return [route("/api/{path:path}", nothing, "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")]
    answers = channel_answers(channels.channels, move, config.message_backlog_bytes)
    answers[openapi.PATH] = {"GET": lambda request, body: Response(openapi.openapi(), media_type="application/json")}
    decisions = _about_channels(channels.moderation) | _about_users(channels.moderation)
    for path, found in decisions.items():
        answers.setdefault(path, {}).update({method: _decided(channels, decide) for method, decide in found.items()})
    guarded = {
        path: {method: _require_token(admin_token, answer) for method, answer in methods.items()}
        for path, methods in answers.items()
    }
    return routes_of(guarded)


def _about_channels(moderation: Moderation) -> dict[str, dict[str, _Decide]]:
    """The decisions of moderators about a whole channel, by path and method."""

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

    return {
        CHANNEL: {"DELETE": end},
        f"{CHANNEL}/lock": {"PUT": lock, "DELETE": unlock},
        f"{CHANNEL}/limit": {"PUT": limit, "DELETE": end_limit},
    }


def _about_users(moderation: Moderation) -> dict[str, dict[str, _Decide]]:
    """The decisions of moderators about one user, by path and method."""

    def remove(request: Request) -> None:
        moderation.remove(**_participant(request), seconds=_seconds_untrusted(request), by=ADMIN)

    def readmit(request: Request) -> None:
        moderation.readmit(**_participant(request), by=ADMIN)

    def mute(request: Request) -> None:
        moderation.mute(**_participant(request), source=_source_untrusted(request), by=ADMIN)

    def unmute(request: Request) -> None:
        moderation.unmute(**_participant(request), source=_source_untrusted(request), by=ADMIN)

    def deafen(request: Request) -> None:
        moderation.deafen(**_participant(request), by=ADMIN)

    def undeafen(request: Request) -> None:
        moderation.undeafen(**_participant(request), by=ADMIN)

    return {
        PARTICIPANT: {"DELETE": remove},
        REMOVAL: {"DELETE": readmit},
        f"{PARTICIPANT}/mutes/{{source}}": {"PUT": mute, "DELETE": unmute},
        f"{PARTICIPANT}/deafen": {"PUT": deafen, "DELETE": undeafen},
    }


def _decided(channels: Channels, decide: _Decide) -> BodyAnswer:
    """The answer to a decision. It says which list the decision has led to."""

    def answer(request: Request, _: bytes) -> Response:
        try:
            decide(request)
        except RequestError as refused:  # there is no such channel, participant or decision
            raise HTTPException(HTTPStatus.NOT_FOUND, refused.message) from refused
        channel = channels.channels.get(request.path_params["channel_id"])
        position = {} if channel is None else {"channel-epoch": channel.epoch, "channel-revision": channel.revision}
        headers = {name: str(value) for name, value in position.items()}
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)

    return answer


def _check_untrusted(request: Request) -> None:
    """Refuse ids that nobody can have, and a query that nobody reads. Raises :exc:`HTTPException`."""
    given = {_PATH_NAMES[name]: value for name, value in request.path_params.items() if name in _PATH_NAMES}
    try:
        from_json(given, PathIds)
    except InvalidValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{error.path[0]}: {error.message}") from None
    known = _QUERIES.get((request.method, request.scope["route"].path), ())
    if unknown := [name for name in request.query_params if name not in known]:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{unknown[0][:64]!r} means nothing in this query")


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


def _require_token(admin_token: str, answer: BodyAnswer) -> BodyAnswer:
    def guarded(request: Request, body: bytes) -> Response:
        if not is_secret(admin_token, bearer_token(request.headers.get("authorization", ""))):
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED, "this needs the admin token", headers={"www-authenticate": "Bearer"}
            )
        _check_untrusted(request)
        return answer(request, body)

    return guarded
