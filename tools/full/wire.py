"""Converts between the protocol's media objects and pymediasoup's models, by way of their common JSON."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel

from protocol.codec import encode
from protocol.declarations import OkData
from protocol.responses import Ok
from protocol.structuring import structure

T = TypeVar("T")


def to_json(answer: OkData) -> dict[str, Any]:
    """Return an answer's data as JSON."""
    data: dict[str, Any] = json.loads(encode(Ok(0, answer)))["data"]
    return data


def from_model(model: BaseModel, cls: type[T]) -> T:
    """Convert a model of pymediasoup into a media object of the protocol."""
    return structure(model.model_dump(mode="json", exclude_none=True), cls)
