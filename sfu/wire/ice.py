"""The ICE-lite agent of one transport: it answers checks and never makes any (RFC 8445 sections 2.5 and 7.3)."""

from collections.abc import Callable

from attrs import frozen

from sfu.parameters import IceParameters
from sfu.wire.stun import BindingRequest


@frozen
class IceAnswer:
    """What became of an authentic Binding request.

    ``datagram`` goes back to where the request came from.  ``valid``: media and DTLS may be taken from and sent to
    that address (false for an error response).  ``nominated``: send there from now on (RFC 8445 section 7.3.2).
    """

    datagram: bytes
    valid: bool
    nominated: bool


class IceAgent:
    """Our side of one transport's ICE: credentials, and answers to Binding requests.

    Who owns the port finds the agent by ``request.local_ufrag`` in a table of every agent's :attr:`ufrags`.  These
    change only in :meth:`restart` and :meth:`receive_binding`: bring the table up to date after either.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """``random_bytes(n)`` gives n unpredictable bytes: :func:`secrets.token_bytes`, or a seeded source in tests."""
        raise NotImplementedError

    @property
    def parameters(self) -> IceParameters:
        """The newest credentials."""
        raise NotImplementedError

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Every username fragment that is valid now: the newest first, then the one a restart is about to replace."""
        raise NotImplementedError

    @property
    def last_binding_at(self) -> float | None:
        """When the newest authentic request came, in the seconds of ``now``; None before the first."""
        raise NotImplementedError

    def restart(self) -> IceParameters:
        """New credentials (RFC 8445 section 9).

        Those in use stay valid until the first authentic request on the new ones.
        """
        raise NotImplementedError

    def receive_binding(self, request: BindingRequest, host: str, port: int, now: float) -> IceAnswer:
        """Answer a request that came from ``host`` and ``port``.

        Raises ``UnknownUsername`` or ``WrongPassword``: then nothing may be answered, and the address proves nothing.
        """
        raise NotImplementedError
