"""Why a request is not done, on its way from where that is found to its response."""

from protocol.errors import ErrorCode
from protocol.responses import Error, ErrorData


class RefusedError(Exception):
    """A request that is not done.  ``message`` is fit for the client; ``path`` names the field at fault."""

    def __init__(self, code: ErrorCode, message: str, path: str | None = None) -> None:
        super().__init__(code, message, path)
        self.code = code
        self.message = message
        self.path = path

    def answer(self, request_id: int) -> Error:
        """The response to the request."""
        return Error(request_id, ErrorData(self.code, self.message, self.path))
