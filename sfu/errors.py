"""The exceptions that the media side raises for mistakes of its callers and for limits, never for bugs of its own."""


class SfuError(Exception):
    """Base class.  The message may go to the client whose request failed."""


class Unsupported(SfuError):
    """The router, or the receiver, cannot handle the codecs of the stream."""


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
    """The object exists already, or the call was made before.

    Examples are a second transport of one direction, a second ``connect``, a second consumer of one producer on one
    transport, and an SSRC in use.
    """


class WrongDirection(SfuError):
    """Producing on a receive transport, or consuming on a send transport."""


class LimitExceeded(SfuError):
    """More producers, consumers or transports than one peer may have.

    ``setting`` is the field of :class:`sfu.MediaSettings` with the limit, or empty.
    """

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting
