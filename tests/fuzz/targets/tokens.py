"""Tokens: as they came, and as header and claims with a right signature."""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from gateway.identity.keys import TokenKey
from gateway.identity.rights import GRANTS, Rights, is_channel_pattern, is_user_id
from gateway.identity.tokens import MAX_CHANNELS, TokenRefused, Tokens

NOW: Final = 1_800_000_000.0
SECRET: Final = b"the_secret_of_the_tests,_32_bytes_long"
_UNSPECIFIC: Final = "the token is missing or wrong"
_ALONE: Final = Tokens((TokenKey("shared", "HS256", SECRET, SECRET),))
_STRICT: Final = Tokens((TokenKey("k1", "HS256", SECRET, SECRET),), "sfu", "issuer", 5.0)


def check(data: bytes) -> None:
    """A line break stands between the header and the claims."""
    text = data.decode("utf-8", "replace")
    header, _, claims = data.partition(b"\n")
    signed = sign(header, claims)
    for tokens in (_ALONE, _STRICT):
        said = _read(tokens, text)
        # Nobody learns from a token that was not signed with our key what is wrong with it.
        assert said == _UNSPECIFIC or _is_signed(text), said
        _read(tokens, signed)


def _read(tokens: Tokens, token: str) -> str:
    try:
        rights = tokens.read_untrusted(token, NOW)
    except TokenRefused as refused:
        assert len(str(refused)) < 200
        return str(refused)
    _check_rights(rights, tokens.leeway)
    assert tokens.read_untrusted(token, NOW) == rights
    return "accepted"


def _check_rights(rights: Rights, leeway: float) -> None:
    assert is_user_id(rights.user_id)
    assert len(rights.channels) <= MAX_CHANNELS
    assert all(map(is_channel_pattern, rights.channels))
    assert rights.grants <= frozenset(GRANTS)
    assert NOW < rights.expires <= 2**53 + leeway


def sign(header: bytes, claims: bytes) -> str:
    parts = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, claims))
    signature = hmac.digest(SECRET, parts, hashlib.sha256)
    return (parts + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _is_signed(token: str) -> bool:
    signed, _, signature = token.rpartition(".")
    try:
        given = base64.urlsafe_b64decode(signature + "==")
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(given, hmac.digest(SECRET, signed.encode(), hashlib.sha256))
