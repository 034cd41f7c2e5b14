"""The envelopes of the gateway's answers: ``ok`` and ``error``."""

from attrs import frozen

from protocol.declarations import OkData
from protocol.errors import ErrorCode, ProtocolError, RequestError
from protocol.media import ShortText
from protocol.vocabulary import Text


@frozen
class Done(OkData):
    """``ok`` with nothing to say."""


@frozen
class Ok:
    """The answer to a request that was done."""

    id: int
    data: OkData = Done()


@frozen
class ErrorData:
    """Why a request was not done.

    ``path`` names the field at fault as on the wire, such as ``data.rtpParameters.codecs[0].mimeType``;
    ``reference`` finds an internal error in the gateway's log.
    """

    code: ErrorCode
    message: Text
    path: Text | None = None
    reference: ShortText | None = None


@frozen
class Error:
    """The answer to a request that was not done; ``id`` is None where the frame had none that could be used."""

    id: int | None
    data: ErrorData

    @classmethod
    def for_frame(cls, error: ProtocolError) -> "Error":
        """The answer to a frame that could not be read."""
        return cls(error.request_id, ErrorData(error.code, error.message, error.path))

    @classmethod
    def for_request(cls, request_id: int, error: RequestError) -> "Error":
        """The answer to a request that was not done."""
        return cls(request_id, ErrorData(error.code, error.message, error.path, error.reference))
