"""Making tokens, for programs and people that hold a signing key."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import jwt

from gateway.identity.keys import TokenKey
from gateway.identity.rights import GRANTS, Duplicates, is_channel_pattern, is_user_id, unknown_grants

LONGEST_LIFETIME: Final = 10 * 366 * 24 * 3600


class IssueError(ValueError):
    """A token with these claims is impossible. The message gives the reason in one line."""


def make_token(
    key: TokenKey,
    user_id: str,
    channels: Iterable[str],
    grants: Iterable[str],
    *,
    now: float,
    lifetime: float,
    audience: str | None = None,
    issuer: str | None = None,
    duplicates: Duplicates | None = None,
) -> str:
    """Make a token that is valid for ``lifetime`` seconds from ``now``, in seconds since 1970.

    Items of ``channels`` and ``grants`` may hold several ones, with commas between them. Raises :exc:`IssueError`.
    """
    channels, grants = _items(channels), _items(grants)
    _check(user_id, channels, grants, lifetime)
    claims: dict[str, Any] = {"sub": user_id, "channel": channels, "can": grants}
    claims |= {"iat": int(now), "exp": int(now + lifetime)}
    optional = {"aud": audience, "iss": issuer, "duplicates": duplicates}
    claims |= {name: value for name, value in optional.items() if value is not None}
    headers = {} if key.kid is None else {"kid": key.kid}
    return jwt.encode(claims, key.signing, algorithm=key.algorithm, headers=headers)


def signing_key(keys: Sequence[TokenKey], kid: str | None = None) -> TokenKey:
    """Return the first key that signs, or the one with this id. Raises :exc:`IssueError`."""
    if not keys:
        raise IssueError("set token_keys to the key files of the gateway")
    for key in keys:
        if key.signing is not None and kid in (None, key.kid):
            return key
    which = "" if kid is None else f" with the id {kid}"
    raise IssueError(f"no key{which} in token_keys can sign: it takes a secret or a private key")


def _items(written: Iterable[str]) -> list[str]:
    return [part for item in written for part in item.replace(",", " ").split()]


def _check(user_id: str, channels: list[str], grants: list[str], lifetime: float) -> None:
    if not is_user_id(user_id):
        raise IssueError("the user must have 1 to 128 of the characters A-Z a-z 0-9 _ . : -")
    if not channels:
        raise IssueError("the token needs a channel")
    if wrong := [channel for channel in channels if not is_channel_pattern(channel)]:
        raise IssueError(f"no channel id, and no pattern with one * at its end: {', '.join(wrong)}")
    if wrong := unknown_grants(grants):
        raise IssueError(f"unknown grant {', '.join(wrong)}; there are {', '.join(GRANTS)}")
    if not 0 < lifetime <= LONGEST_LIFETIME:
        raise IssueError(f"the token must be valid for 1 to {LONGEST_LIFETIME} seconds")
