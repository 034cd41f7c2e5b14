"""The gateway's responses to requests: ``ok`` and ``error``."""

from typing import Annotated, Generic, TypeVar

from attrs import frozen

from protocol import limits
from protocol.constraints import Range
from protocol.declarations import OkData
from protocol.errors import ErrorCode, ProtocolError, RequestError
from protocol.media import ShortText
from protocol.vocabulary import Text

Answer = TypeVar("Answer", bound=OkData)


@frozen
class Done(OkData):
    """``ok`` without content."""


@frozen
class Encoded(OkData, Generic[Answer]):
    """The data of an ``ok`` that is JSON already, because it was joined from parts that were encoded before."""

    text: str


@frozen
class Ok:
    """The response to a request that succeeded."""

    id: int
    data: OkData = Done()


@frozen
class ErrorData:
    """Why a request failed.

    ``path`` is the wire path of the wrong field, such as ``data.rtpParameters.codecs[0].mimeType``. ``reference`` finds
    an internal error in the gateway's log. ``retry_after_ms`` is the shortest time to wait before the next try.
    """

    code: ErrorCode
    message: Text
    path: Text | None = None
    reference: ShortText | None = None
    retry_after_ms: Annotated[int, Range(0, limits.MAX_REQUEST_ID)] | None = None


@frozen
class Error:
    """The response to a request that failed. ``id`` is None if the frame had no usable id."""

    id: int | None
    data: ErrorData

    @classmethod
    def for_frame(cls, error: ProtocolError) -> "Error":
        """Make the response to an unreadable frame."""
        return cls(error.request_id, ErrorData(error.code, error.message, error.path))

    @classmethod
    def for_request(cls, request_id: int, error: RequestError) -> "Error":
        """Make the response to a request that failed."""
        return cls(request_id, ErrorData(error.code, error.message, error.path, error.reference, error.retry_after_ms))
