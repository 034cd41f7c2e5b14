"""Tokens that the gateway accepts, and the attacks that it refuses."""

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.issuing import make_token
from gateway.identity.keys import TokenKey, load_keys
from gateway.identity.tokens import TokenRefused, Tokens
from protocol import limits
from tests.identity.made_up_keys import (
    CLAIMS,
    NOW,
    OTHER_SECRET,
    SECRET,
    part,
    private_key,
    public_jwk,
    public_pem,
    sign,
    write_key,
)

SHARED = TokenKey("shared", "HS256", SECRET, SECRET)
UNSPECIFIC = "the token is missing or wrong"


def refused(token: str | None, tokens: Tokens | None = None, now: float = NOW) -> str:
    """Check that a token is refused, and return the words for the client."""
    with pytest.raises(TokenRefused) as error:
        (tokens or Tokens((SHARED,))).read_untrusted(token, now)
    assert token is None or len(token) < 3 or token not in f"{error.value}{error.value.why}"
    return str(error.value)


def test_a_token_gives_its_user_its_channels_and_its_grants() -> None:
    rights = Tokens((SHARED,)).read_untrusted(sign(), NOW)
    assert rights.user_id == "anna"
    assert rights.channels == ("lobby",)
    assert rights.grants == {"publish", "subscribe"}
    assert rights.expires == NOW + 60


@pytest.mark.parametrize("duplicates", [None, "replace", "reject"])
def test_a_token_may_say_what_becomes_of_a_listed_session(duplicates: str | None) -> None:
    claims = CLAIMS if duplicates is None else {**CLAIMS, "duplicates": duplicates}
    assert Tokens((SHARED,)).read_untrusted(sign(claims), NOW).duplicates == duplicates


@pytest.mark.parametrize("duplicates", ["", "refuse", True, ["reject"], 1])
def test_a_token_with_another_word_for_it_is_refused(duplicates: Any) -> None:
    assert refused(sign({**CLAIMS, "duplicates": duplicates})) == (
        "the token's duplicates is neither replace nor reject"
    )


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
@pytest.mark.parametrize("form", ["pem", "jwks"])
def test_public_keys_of_each_algorithm_check_tokens(tmp_path: Path, algorithm: str, form: str) -> None:
    if form == "pem":
        file = write_key(tmp_path, "k1.pem", public_pem(algorithm))
    else:
        file = write_key(tmp_path, "keys.json", {"keys": [public_jwk(algorithm, kid="k1")]})
    tokens = Tokens(load_keys([file]))
    assert tokens.read_untrusted(sign(CLAIMS, private_key(algorithm), algorithm, kid="k1"), NOW).user_id == "anna"
    assert tokens.read_untrusted(sign(CLAIMS, private_key(algorithm), algorithm), NOW).user_id == "anna"
    head, body, signature = sign(CLAIMS, private_key(algorithm), algorithm, kid="k1").split(".")
    other = part({**CLAIMS, "sub": "mallory"})
    assert refused(f"{head}.{other}.{signature}", tokens) == UNSPECIFIC
    assert refused(f"{head}.{body}.{signature[:-8]}AAAAAAAA", tokens) == UNSPECIFIC
    assert refused(f"{head}.{body}.", tokens) == UNSPECIFIC


def test_old_and_new_key_are_accepted_together_while_keys_rotate() -> None:
    old, new = TokenKey("2025", "HS256", SECRET, SECRET), TokenKey("2026", "HS256", OTHER_SECRET, OTHER_SECRET)
    both = Tokens((old, new))
    for key in (old, new):
        token = make_token(key, "anna", ["lobby"], ["publish"], now=NOW, lifetime=60)
        assert both.read_untrusted(token, NOW).user_id == "anna"
    # A key signs only for its own id.
    assert refused(sign(key=SECRET, kid="2026"), both) == UNSPECIFIC


def test_a_token_without_kid_is_refused_if_there_are_several_keys() -> None:
    both = Tokens((SHARED, TokenKey("other", "HS256", OTHER_SECRET, OTHER_SECRET)))
    assert refused(sign(), both) == UNSPECIFIC


@pytest.mark.parametrize("kid", ["unknown", "", "../../dev/null", "shared' OR 1=1", "x" * 4000])
def test_an_unknown_kid_is_refused(kid: str) -> None:
    assert refused(sign(kid=kid)) == UNSPECIFIC


@pytest.mark.parametrize("kid", [None, 1, ["shared"], {"a": 1}, True])
def test_a_kid_that_is_no_text_is_refused(kid: Any) -> None:
    head = part({"alg": "HS256", "kid": kid})
    assert refused(signed(f"{head}.{part(CLAIMS)}")) == UNSPECIFIC


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, ["HS256"], {"HS256": 1}])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_a_token_without_an_algorithm_is_refused(alg: Any, signature: str) -> None:
    assert refused(f"{part({'alg': alg, 'typ': 'JWT'})}.{part(CLAIMS)}.{signature}") == UNSPECIFIC
    assert refused(f"{part({'typ': 'JWT'})}.{part(CLAIMS)}.{signature}") == UNSPECIFIC


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_the_public_key_is_no_secret_for_hs256(tmp_path: Path, algorithm: str) -> None:
    pem = public_pem(algorithm)
    tokens = Tokens(load_keys([write_key(tmp_path, "k1.pem", pem)]))
    body = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(CLAIMS)}"
    for secret in (pem, pem.strip(), pem.replace(b"\n", b"")):
        assert refused(signed(body, secret), tokens) == UNSPECIFIC


@pytest.mark.parametrize("alg", ["HS384", "HS512", "RS256", "ES256", "EdDSA", "PS256"])
def test_a_token_cannot_choose_another_algorithm_than_that_of_the_key(alg: str) -> None:
    assert refused(signed(f"{part({'alg': alg})}.{part(CLAIMS)}")) == UNSPECIFIC


def test_keys_inside_a_token_are_ignored() -> None:
    # An attacker signs with an own key, and sends this key or its address along (RFC 8725 section 3.10).
    own = private_key("EdDSA")
    for header in (
        {"jwk": public_jwk("EdDSA")},
        {"jku": "https://evil.example/keys.json"},
        {"x5u": "https://evil.example"},
    ):
        assert refused(sign(CLAIMS, own, "EdDSA", **header)) == UNSPECIFIC


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": 1}])
def test_critical_headers_that_nobody_understands_are_refused(header: dict[str, Any]) -> None:
    assert refused(signed(f"{part({'alg': 'HS256', **header})}.{part(CLAIMS)}")) == UNSPECIFIC


@pytest.mark.parametrize("token", [None, "", ".", "..", "...", "a.b.c", "é.é.é", "\0", " ", "x" * 8192, "." * 8192])
def test_anything_else_than_a_token_is_refused(token: str | None) -> None:
    assert refused(token) == UNSPECIFIC


@pytest.mark.parametrize(
    "bomb", [b"[" * 5000, b'{"a":' * 1000, b"1" * 5000, b'"' + b"\\" * 5000, b'{"alg":"HS256"', b"[]", b"null"]
)
def test_json_bombs_are_refused(bomb: bytes) -> None:
    assert refused(signed(f"{part(bomb)}.{part(CLAIMS)}")) == UNSPECIFIC
    # With the right key, too: the maker of tokens may have been fooled.
    assert refused(signed(f"{part({'alg': 'HS256'})}.{part(bomb)}")) == UNSPECIFIC


def test_the_largest_token_of_the_protocol_is_read() -> None:
    claims = {**CLAIMS, "pad": "x" * 5900}
    assert 7900 < len(sign(claims)) < limits.MAX_TOKEN_CHARACTERS
    assert Tokens((SHARED,)).read_untrusted(sign(claims), NOW).user_id == "anna"


# Claims.


def test_a_token_ends_at_its_time() -> None:
    tokens = Tokens((SHARED,))
    assert tokens.read_untrusted(sign(), NOW + 59.9).user_id == "anna"
    assert refused(sign(), now=NOW + 60) == "the token has expired"


def test_a_token_begins_at_its_time() -> None:
    token = sign({**CLAIMS, "nbf": NOW + 5})
    assert refused(token) == "the token is not valid yet"
    assert Tokens((SHARED,)).read_untrusted(token, NOW + 5).user_id == "anna"


def test_clocks_may_differ_by_the_leeway() -> None:
    tokens = Tokens((SHARED,), leeway=10)
    token = sign({**CLAIMS, "nbf": NOW + 10})
    assert tokens.read_untrusted(token, NOW).expires == NOW + 70
    assert refused(token, tokens, NOW - 0.1) == "the token is not valid yet"
    assert refused(token, tokens, NOW + 70) == "the token has expired"


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize("value", ["1800000060", True, -1, 10**400, 1e300, [], {}, float("inf"), float("nan")])
def test_a_time_that_is_no_number_of_seconds_is_refused(name: str, value: Any) -> None:
    assert (
        refused(signed(f"{part({'alg': 'HS256'})}.{part({**CLAIMS, name: value})}")) == f"the token's {name} is no time"
    )


@pytest.mark.parametrize("name", ["exp", "sub"])
def test_a_token_must_have_an_end_and_a_user(name: str) -> None:
    claims = {key: value for key, value in CLAIMS.items() if key != name}
    assert refused(sign(claims)) == f"the token has no {name}"


@pytest.mark.parametrize("sub", ["", "a b", "auth0|1", "x" * 129, "anna\n", "é"])
def test_a_sub_that_is_no_user_id_is_refused(sub: str) -> None:
    assert refused(sign({**CLAIMS, "sub": sub})) == "the token's sub is no user id"


@pytest.mark.parametrize("sub", [1, [], {}, True])
def test_a_sub_that_is_no_text_is_refused(sub: Any) -> None:
    assert refused(signed(f"{part({'alg': 'HS256'})}.{part({**CLAIMS, 'sub': sub})}")) == UNSPECIFIC


def test_a_token_for_another_audience_is_refused() -> None:
    tokens = Tokens((SHARED,), audience="calls")
    assert tokens.read_untrusted(sign({**CLAIMS, "aud": "calls"}), NOW).user_id == "anna"
    assert tokens.read_untrusted(sign({**CLAIMS, "aud": ["mail", "calls"]}), NOW).user_id == "anna"
    for wrong in ("mail", ["mail"], "callsx", "calls ", 1, {"calls": 1}, ["calls", 1]):
        assert refused(sign({**CLAIMS, "aud": wrong}), tokens) == "the token is for another audience"
    assert refused(sign(), tokens) == "the token has no aud"
    # Without a configured audience, a token for a certain one is not for this gateway (RFC 7519 section 4.1.3).
    assert refused(sign({**CLAIMS, "aud": "mail"})) == "the token is for another audience"


def test_a_token_of_another_issuer_is_refused() -> None:
    tokens = Tokens((SHARED,), issuer="https://login.example.org")
    assert tokens.read_untrusted(sign({**CLAIMS, "iss": "https://login.example.org"}), NOW).user_id == "anna"
    for wrong in ("https://evil.example.org", ""):
        assert refused(sign({**CLAIMS, "iss": wrong}), tokens) == "the token is from another issuer"
    assert refused(sign(), tokens) == "the token has no iss"


@pytest.mark.parametrize("name", ["channel", "can"])
@pytest.mark.parametrize("value", [1, True, {"lobby": 1}, [1], [["lobby"]], ["x"] * 101, None])
def test_channels_and_grants_must_be_texts(name: str, value: Any) -> None:
    assert f"the token's {name} must be" in refused(sign({**CLAIMS, name: value}))


@pytest.mark.parametrize("pattern", ["", "a*b", "**", "*a", "a b", "x" * 129, "[a-z]", ".*?"[:2] + "!"])
def test_a_channel_that_is_no_pattern_is_refused(pattern: str) -> None:
    assert "no channel id" in refused(sign({**CLAIMS, "channel": ["lobby", pattern]}))


def test_a_token_without_channel_and_grants_gives_nothing() -> None:
    rights = Tokens((SHARED,)).read_untrusted(sign({"sub": "anna", "exp": NOW + 60}), NOW)
    assert not rights.may_enter("lobby")
    assert not rights.grants


def test_unknown_grants_give_nothing() -> None:
    rights = Tokens((SHARED,)).read_untrusted(
        sign({**CLAIMS, "can": ["fly", "publish:", "PUBLISH", "*", "message"]}), NOW
    )
    assert rights.grants == {"message"}


def test_a_stranger_does_not_learn_what_is_wrong() -> None:
    # The signature comes first: without it, an expired token for another audience is just wrong.
    forged = sign({**CLAIMS, "exp": NOW - 60, "aud": "mail"}, OTHER_SECRET)
    assert refused(forged) == refused("nonsense") == refused(None) == UNSPECIFIC


def test_keys_and_tokens_show_no_secret() -> None:
    shown = repr(Tokens((SHARED,)))
    assert "shared" in shown
    assert SECRET.decode() not in shown


@given(
    st.text(max_size=200)
    | st.lists(st.binary(max_size=60), min_size=1, max_size=4).map(lambda parts: ".".join(map(part, parts)))
)
def test_no_text_makes_the_check_raise_anything_else(text: str) -> None:
    refused(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "zip"]), JSON),
    st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "jti", "aud", "iss", "channel", "can"]), JSON),
)
def test_no_signed_claims_make_the_check_raise_anything_else(header: dict[str, Any], claims: dict[str, Any]) -> None:
    token = signed(f"{part({'alg': 'HS256', **header})}.{part({**CLAIMS, **claims})}")
    try:
        rights = Tokens((SHARED,)).read_untrusted(token, NOW)
    except TokenRefused:
        return
    assert NOW < rights.expires < 2**53


def signed(body: str, secret: bytes = SECRET) -> str:
    """Sign two parts of a made-up token, right or wrong, with HS256."""
    return f"{body}.{part(hmac.digest(secret, body.encode(), hashlib.sha256))}"
