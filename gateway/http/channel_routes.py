"""The HTTP routes that read and change what is in channels. There is only one list of a channel, so none is stale."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.channel.channel import Channel
from gateway.channel.member import Member
from gateway.connection.outbox import Frame
from gateway.http.api_objects import (
    ChannelList,
    MessageDelivered,
    NewMessage,
    NewPlace,
    ParticipantChange,
    details_of,
    participant_of,
    summary_of,
)
from gateway.http.route import BodyAnswer
from protocol import limits
from protocol.codec import encode_value, from_json, wire_path
from protocol.constraints import InvalidValueError
from protocol.errors import ErrorCode, RequestError
from protocol.events import MessageReceived
from protocol.json_text import UnreadableError, parse_untrusted

T = TypeVar("T")
CHANNELS = "/api/channels"
CHANNEL = CHANNELS + "/{channel_id}"
PARTICIPANT = CHANNEL + "/participants/{user_id}"
MOVE = PARTICIPANT + "/move"
MESSAGES = CHANNEL + "/messages"
REMOVAL = CHANNEL + "/removals/{user_id}"
Mover = Callable[[Channel, str, str], Member]
"""Moves the member with this user id to the channel with this id, and returns it. Raises :exc:`RequestError`."""


def no_mover(_: Channel, __: str, ___: str) -> Member:
    """Moves nobody."""
    raise RequestError(ErrorCode.CONFLICT, "nobody can be moved here")


def channel_answers(
    channels: Mapping[str, Channel], move: Mover, message_backlog: int
) -> dict[str, dict[str, BodyAnswer]]:
    """The answers by path and method. Members for whom ``message_backlog`` bytes wait get no messages."""

    def listing(_: Request, __: bytes) -> Response:
        return _json(ChannelList(tuple(summary_of(channel) for channel in channels.values())))

    def details(request: Request, _: bytes) -> Response:
        return _json(details_of(_channel(channels, request)))

    def participant(request: Request, _: bytes) -> Response:
        channel = _channel(channels, request)
        return _json(participant_of(channel, _member(channel, request)))

    def change(request: Request, body: bytes) -> Response:
        channel = _channel(channels, request)
        member, wanted = _member(channel, request), _read_untrusted(body, ParticipantChange)
        given = {"username": wanted.username, "metadata": wanted.metadata}
        channel.update(member, **{name: value for name, value in given.items() if value is not None})
        return _json(participant_of(channel, member))

    def message(request: Request, body: bytes) -> Response:
        channel, new = _channel(channels, request), _read_untrusted(body, NewMessage)
        names = channel.members if new.to is None else dict.fromkeys(new.to)
        receivers = [channel.members[name] for name in names if name in channel.members]
        receivers = [one for one in receivers if one.connection.backlog < message_backlog]
        frame = Frame.of(MessageReceived(new.from_, new.data))
        return _json(MessageDelivered(sum(receiver.send(frame) for receiver in receivers)))

    def move_to(request: Request, body: bytes) -> Response:
        channel, wanted = _channel(channels, request), _read_untrusted(body, NewPlace)
        try:
            member = move(channel, request.path_params["user_id"], wanted.channel_id)
        except RequestError as refused:
            status = HTTPStatus.NOT_FOUND if refused.code is ErrorCode.NOT_FOUND else HTTPStatus.CONFLICT
            raise HTTPException(status, refused.message) from refused
        return _json(participant_of(channels[wanted.channel_id], member))

    return {
        CHANNELS: {"GET": listing},
        CHANNEL: {"GET": details},
        PARTICIPANT: {"GET": participant, "PATCH": change},
        MOVE: {"POST": move_to},
        MESSAGES: {"POST": message},
    }


def _json(value: Any) -> Response:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(encode_value(value).encode(), headers=headers)


def _channel(channels: Mapping[str, Channel], request: Request) -> Channel:
    channel = channels.get(request.path_params["channel_id"])
    if channel is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such channel")
    return channel


def _member(channel: Channel, request: Request) -> Member:
    member = channel.members.get(request.path_params["user_id"])
    if member is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such participant")
    return member


def _read_untrusted(body: bytes, cls: type[T]) -> T:
    try:
        value = parse_untrusted(body, max_bytes=limits.MAX_REQUEST_BYTES, max_depth=limits.MAX_REQUEST_DEPTH)
        if type(value) is not dict:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
        return from_json(value, cls)
    except UnreadableError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body: {error}") from None
    except InvalidValueError as error:
        where = wire_path("", *error.path).removeprefix(".")
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{where}: {error.message}" if where else error.message) from None
