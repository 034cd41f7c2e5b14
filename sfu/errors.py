"""The exceptions that the media side raises for mistakes of its callers and for limits, never for bugs of its own."""


class SfuError(Exception):
    """Base class.  The client that asked may see the message."""


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
    """There is no such transport, producer or consumer, or it has closed."""


class Conflict(SfuError):
    """It exists already: a second transport of a direction, a second connect or copy of a stream, an SSRC in use."""


class WrongDirection(SfuError):
    """Producing on a receive transport, or consuming on a send transport."""


class LimitExceeded(SfuError):
    """More producers, consumers or transports than one peer may have."""
