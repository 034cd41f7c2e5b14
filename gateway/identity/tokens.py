"""Tokens: JSON Web Tokens (RFC 7519) that name a user and grant rights. PyJWT checks their signatures."""

from typing import Any, Final, cast, get_args

import jwt
from attrs import frozen

from gateway.identity.keys import TokenKey
from gateway.identity.rights import GRANTS, Duplicates, Rights, is_channel_pattern, is_user_id

MAX_CHANNELS: Final = 100
_LATEST: Final = 2**53 - 1
_NOT_ACCEPTED: Final = "the token is missing or wrong"
# The library reads the machine's clock. We compare times ourselves, so that tests can set the time.
_CHECKS: Final[Any] = {
    "require": ["exp", "sub"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_jti": False,
    "enforce_minimum_key_length": True,
}


class TokenRefused(Exception):
    """A token is not accepted. The message is for the client, and ``why`` for the log."""

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why or message


@frozen
class Tokens:
    """Checks tokens with some keys.

    A token must carry ``audience`` as ``aud`` and ``issuer`` as ``iss``, if they are set. Clocks may differ by
    ``leeway`` seconds.
    """

    keys: tuple[TokenKey, ...]
    audience: str | None = None
    issuer: str | None = None
    leeway: float = 0.0

    def read_untrusted(self, token: str | None, now: float) -> Rights:
        """Check a token at the time ``now``, in seconds since 1970. Return the rights that it grants.

        Raises :exc:`TokenRefused`. Before its signature was checked, the reason is for the log alone: only somebody who
        makes up tokens would learn from it.
        """
        if not token:
            raise TokenRefused(_NOT_ACCEPTED, "no token")
        try:
            key = self._find_key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key.verifying,
                algorithms=[key.algorithm],
                options=_CHECKS,
                audience=self.audience,
                issuer=self.issuer,
            )
        except jwt.InvalidAudienceError:
            raise TokenRefused("the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise TokenRefused("the token is from another issuer") from None
        except jwt.MissingRequiredClaimError as error:
            raise TokenRefused(f"the token has no {error.claim}") from None
        except jwt.PyJWTError as error:
            raise TokenRefused(_NOT_ACCEPTED, type(error).__name__) from None
        return self._rights(claims, now)

    def _find_key(self, header: dict[str, Any]) -> TokenKey:
        # With several keys, a token must name its own. Trying them all would multiply the price of a forgery.
        if "kid" not in header and len(self.keys) == 1:
            return self.keys[0]
        for key in self.keys:
            if key.kid is not None and key.kid == header.get("kid"):
                return key
        raise TokenRefused(_NOT_ACCEPTED, "unknown key")

    def _rights(self, claims: dict[str, Any], now: float) -> Rights:
        expires, begins = _time(claims, "exp") + self.leeway, _time(claims, "nbf") - self.leeway
        if now >= expires:
            raise TokenRefused("the token has expired")
        if now < begins:
            raise TokenRefused("the token is not valid yet")
        user_id = claims["sub"]
        if not is_user_id(user_id):
            raise TokenRefused("the token's sub is no user id")
        channels, grants = _texts(claims, "channel"), _texts(claims, "can")
        if not all(map(is_channel_pattern, channels)):
            raise TokenRefused("the token's channel is no channel id, and no pattern with one * at its end")
        # Grants that this version does not know grant nothing.
        known = frozenset(grants) & frozenset(GRANTS)
        return Rights(user_id, channels, known, expires, _duplicates(claims))


def _duplicates(claims: dict[str, Any]) -> Duplicates | None:
    given = claims.get("duplicates")
    # A text that was meant to restrict must not be ignored.
    if given not in (None, *get_args(Duplicates)):
        raise TokenRefused("the token's duplicates is neither replace nor reject")
    return cast("Duplicates | None", given)


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise TokenRefused(f"the token's {name} is no time")
    return float(value)


def _texts(claims: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return the texts of a claim that holds one or several."""
    value = claims.get(name, [])
    texts = value if isinstance(value, list) else [value]
    if len(texts) > MAX_CHANNELS or not all(isinstance(text, str) for text in texts):
        raise TokenRefused(f"the token's {name} must be a text, or a list of at most {MAX_CHANNELS} texts")
    return tuple(texts)
