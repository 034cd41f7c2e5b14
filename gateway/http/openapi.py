"""The description of the HTTP API (OpenAPI 3.1.0), made from the classes that check and write its bodies."""

import json
from functools import cache, partial
from importlib.metadata import version
from typing import Any, Final

from attrs import AttrsInstance

from gateway.http.api_objects import (
    ChannelDetails,
    ChannelList,
    MessageDelivered,
    NewMessage,
    NewPlace,
    ParticipantChange,
    ParticipantDetails,
)
from gateway.http.channel_routes import CHANNEL, CHANNELS, MESSAGES, MOVE, PARTICIPANT, REMOVAL
from protocol.json_schema import class_reference, value_schema
from protocol.limits import MAX_MEMBERS_LIMIT, MAX_MODERATION_SECONDS
from protocol.vocabulary import ChannelId, Source, UserId

PATH: Final = "/api/openapi.json"
_Json = dict[str, Any]
_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}
_POSITION: Final = {
    name: {"description": meaning, "schema": {"type": "integer", "minimum": 0}}
    for name, meaning in (
        ("channel-epoch", "The epoch of the channel's list after the decision, if the channel is open."),
        ("channel-revision", "Its revision."),
    )
}
_SECONDS: Final = {
    "name": "seconds",
    "in": "query",
    "description": "For how many seconds the decision stays.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_MODERATION_SECONDS},
}
_MEMBERS: Final = {
    "name": "members",
    "in": "query",
    "required": True,
    "description": "The number of members that the channel may have.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_MEMBERS_LIMIT},
}


@cache
def openapi() -> bytes:
    """The whole description, as JSON."""
    definitions: dict[str, _Json] = {}
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "trio-sfu",
            "version": version("trio-sfu"),
            "description": "Reads and changes what is in the channels of one gateway. See docs/operating.md.",
        },
        "security": [{"adminToken": []}],
        "paths": _paths(definitions),
        "components": {
            "securitySchemes": {"adminToken": {"type": "http", "scheme": "bearer"}},
            "schemas": definitions,
        },
    }
    # The schemas of the protocol refer to one another by another place.
    return json.dumps(described).replace("#/$defs/", "#/components/schemas/").encode()


def _paths(definitions: dict[str, _Json]) -> _Json:
    """All operations by path. ``definitions`` gets the schemas that they use."""
    paths = _about_channels(definitions) | _about_participants(definitions)
    for methods in paths.values():
        if "get" in methods:
            methods["head"] = _without_bodies(methods["get"])
    return paths


def _about_channels(definitions: dict[str, _Json]) -> dict[str, _Json]:
    describe = partial(_operation, definitions)
    of_channel = [_path_parameter("channel_id", ChannelId, definitions)]
    return {
        CHANNELS: {"get": describe("listChannels", "All open channels", answer=ChannelList, may_miss=False)},
        CHANNEL: {
            "parameters": of_channel,
            "get": describe("getChannel", "A channel with its participants", answer=ChannelDetails),
            "delete": describe("endChannel", "End the session of every member"),
        },
        f"{CHANNEL}/lock": {
            "parameters": of_channel,
            "put": describe("lockChannel", "Let no newcomer in", _SECONDS),
            "delete": describe("unlockChannel", "Let newcomers in again"),
        },
        f"{CHANNEL}/limit": {
            "parameters": of_channel,
            "put": describe("limitMembers", "Let so many members in", _MEMBERS, _SECONDS),
            "delete": describe("endLimit", "Limit the members no longer"),
        },
        MESSAGES: {
            "parameters": of_channel,
            "post": describe("sendMessage", "Send a message to members", body=NewMessage, answer=MessageDelivered),
        },
    }


def _about_participants(definitions: dict[str, _Json]) -> dict[str, _Json]:
    describe = partial(_operation, definitions)
    of_participant = [
        _path_parameter("channel_id", ChannelId, definitions),
        _path_parameter("user_id", UserId, definitions),
    ]
    return {
        PARTICIPANT: {
            "parameters": of_participant,
            "get": describe("getParticipant", "One participant", answer=ParticipantDetails),
            "patch": describe(
                "changeParticipant", "Change a name or metadata", body=ParticipantChange, answer=ParticipantDetails
            ),
            "delete": describe("removeParticipant", "End the session of a member", _SECONDS),
        },
        MOVE: {
            "parameters": of_participant,
            "post": describe(
                "moveParticipant",
                "Move a member to another channel",
                body=NewPlace,
                answer=ParticipantDetails,
                may_conflict=True,
            ),
        },
        f"{PARTICIPANT}/mutes/{{source}}": {
            "parameters": [*of_participant, _path_parameter("source", Source, definitions)],
            "put": describe("mute", "Pause a source of a member"),
            "delete": describe("unmute", "Let a member resume a source"),
        },
        f"{PARTICIPANT}/deafen": {
            "parameters": of_participant,
            "put": describe("deafen", "Let a member receive no media"),
            "delete": describe("undeafen", "Let a member receive media again"),
        },
        REMOVAL: {
            "parameters": of_participant,
            "delete": describe("readmitParticipant", "Let a user in again who was removed for a time"),
        },
    }


def _operation(
    definitions: dict[str, _Json],
    name: str,
    summary: str,
    *parameters: _Json,
    body: type[AttrsInstance] | None = None,
    answer: type[AttrsInstance] | None = None,
    may_miss: bool = True,
    may_conflict: bool = False,
) -> _Json:
    answers: _Json = {
        "400": _refusal("A value is not what it must be."),
        "401": _refusal("The admin token is missing or wrong."),
    }
    if answer is None:
        answers["204"] = {"description": "Done.", "headers": _POSITION}
    else:
        answers["200"] = {"description": "As of now.", "content": _content(answer, definitions)}
    if may_miss:
        answers["404"] = _refusal("There is no such channel, participant or decision.")
    if may_conflict:
        answers["409"] = _refusal("The other channel does not take this member.")
    if body is not None:
        answers["413"] = _refusal("The body is larger than the setting max_request_body_bytes.")
    found: _Json = {"operationId": name, "summary": summary, "responses": dict(sorted(answers.items()))}
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        found["requestBody"] = {"required": True, "content": _content(body, definitions)}
    return found


def _content(cls: type[AttrsInstance], definitions: dict[str, _Json]) -> _Json:
    return {"application/json": {"schema": class_reference(cls, definitions)}}


def _path_parameter(name: str, hint: Any, definitions: dict[str, _Json]) -> _Json:
    return {"name": name, "in": "path", "required": True, "schema": value_schema(hint, definitions)}


def _refusal(meaning: str) -> _Json:
    return {"description": meaning, "content": _TEXT}


def _without_bodies(get: _Json) -> _Json:
    """The operation HEAD beside this GET."""
    answers = {status: {"description": answer["description"]} for status, answer in get["responses"].items()}
    return {**get, "operationId": f"{get['operationId']}Head", "responses": answers}
