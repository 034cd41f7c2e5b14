"""What the media layer raises at its callers: each is a caller's mistake or a limit, never a bug of ours."""


class SfuError(Exception):
    """Base of all; the message is fit to be shown to the client that asked."""


class Unsupported(SfuError):
    """No codec in common."""


class InvalidParameters(SfuError):
    """Media parameters that contradict themselves or the router.

    ``path`` names the field in the notation of the wire, relative to the object that was given
    (``codecs[0].payloadType``), or is empty.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class NotFound(SfuError):
    """No such transport, producer or consumer, or it has closed."""


class Conflict(SfuError):
    """It is there already: a second transport of a direction, a second connect or copy of a stream, an SSRC in use."""


class WrongDirection(SfuError):
    """Producing on a receive transport, or consuming on a send transport."""


class LimitExceeded(SfuError):
    """More producers, consumers or transports than one peer may have."""
