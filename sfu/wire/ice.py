"""ICE credentials (RFC 8445 section 5.3).  The data plane is the agent that answers with them."""

from collections.abc import Callable
from typing import Final

from sfu.parameters import IceParameters

UFRAG_LENGTH: Final = 16
PASSWORD_LENGTH: Final = 32
"""Both lengths are in ice-chars of 6 random bits each.  RFC 8839 section 5.4 demands at least 4 ice-chars with 24
random bits for the fragment, and 22 with 128 for the password."""

_ICE_CHARS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def new_ice_parameters(random_bytes: Callable[[int], bytes]) -> IceParameters:
    """Credentials of an ICE-lite agent.

    ``random_bytes(n)`` gives n unpredictable bytes: :func:`secrets.token_bytes`, or a seeded source in tests.
    """
    return IceParameters(
        username_fragment=_random_text(UFRAG_LENGTH, random_bytes), password=_random_text(PASSWORD_LENGTH, random_bytes)
    )


def _random_text(length: int, random_bytes: Callable[[int], bytes]) -> str:
    return "".join(_ICE_CHARS[byte % len(_ICE_CHARS)] for byte in random_bytes(length))
