"""The ICE-lite agent of one transport: it answers checks and never makes any (RFC 8445 sections 2.5 and 7.3)."""

from collections.abc import Callable
from typing import Final

from attrs import frozen

from sfu.parameters import IceParameters
from sfu.wire import stun
from sfu.wire.errors import UnknownUsername, WrongPassword
from sfu.wire.stun import BindingRequest

UFRAG_LENGTH: Final = 16
PASSWORD_LENGTH: Final = 32
"""In ice-chars of 6 random bits each; RFC 8839 section 5.4 demands at least 4 and 22, and 24 and 128 random bits."""

_ICE_CHARS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


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
        self._random_bytes = random_bytes
        self._newest = self._new_credentials()
        self._replaced: IceParameters | None = None
        self._newest_used = False

    @property
    def parameters(self) -> IceParameters:
        """The newest credentials."""
        return self._newest

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Every username fragment that is valid now: the newest first, then the one a restart is about to replace."""
        return tuple(credentials.username_fragment for credentials in self._valid_credentials())

    @property
    def only_credentials(self) -> IceParameters | None:
        """The credentials that every authentic request has; None while those before a restart are good as well."""
        return self._newest if self._replaced is None else None

    def restart(self) -> IceParameters:
        """New credentials (RFC 8445 section 9).

        Those in use stay valid until the first authentic request on the new ones; new ones that nobody used before
        the next restart are forgotten.
        """
        if self._newest_used or self._replaced is None:
            self._replaced = self._newest
        self._newest = self._new_credentials()
        self._newest_used = False
        return self._newest

    def receive_binding(self, request: BindingRequest, host: str, port: int) -> IceAnswer:
        """Answer a request that came from ``host`` and ``port``.

        Raises ``UnknownUsername`` or ``WrongPassword``: then nothing may be answered, and the address proves nothing.
        """
        credentials = self._authenticate(request)
        if credentials is self._newest:
            self._newest_used = True
            self._replaced = None
        if request.unknown_attributes:
            return IceAnswer(stun.unknown_attributes(request, credentials.password), valid=False, nominated=False)
        if request.controlled:
            return IceAnswer(stun.role_conflict(request, credentials.password), valid=False, nominated=False)
        success = stun.binding_success(request, host, port, credentials.password)
        return IceAnswer(success, valid=True, nominated=request.use_candidate)

    def _authenticate(self, request: BindingRequest) -> IceParameters:
        for credentials in self._valid_credentials():
            if credentials.username_fragment == request.local_ufrag:
                if request.is_authentic(credentials.password):
                    return credentials
                raise WrongPassword("the integrity does not fit the password")
        raise UnknownUsername("no such username fragment here")

    def _valid_credentials(self) -> tuple[IceParameters, ...]:
        return (self._newest,) if self._replaced is None else (self._newest, self._replaced)

    def _new_credentials(self) -> IceParameters:
        return IceParameters(
            username_fragment=self._random_text(UFRAG_LENGTH), password=self._random_text(PASSWORD_LENGTH)
        )

    def _random_text(self, length: int) -> str:
        return "".join(_ICE_CHARS[byte % len(_ICE_CHARS)] for byte in self._random_bytes(length))
