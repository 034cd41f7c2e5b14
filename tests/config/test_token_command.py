"""``sfu-gateway token``: the gateway accepts the tokens that it makes."""

import time
from pathlib import Path

import pytest

from gateway.cli import app, main
from gateway.config import Config
from gateway.identity.keys import load_keys
from gateway.identity.rights import GRANTS
from gateway.identity.tokens import Tokens
from tests.identity.made_up_keys import OTHER_SECRET, SECRET, private_pem, public_pem, write_key

ANNA = ("--channel", "lobby", "--user", "anna")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SFU_TOKEN_KEYS", "SFU_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["token", *arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA", "ES256", "RS256"])
def test_a_gateway_accepts_the_token(capsys: pytest.CaptureFixture[str], tmp_path: Path, algorithm: str) -> None:
    key = write_key(tmp_path, "k1", SECRET if algorithm == "HS256" else private_pem(algorithm))
    file = tmp_path / "gateway.toml"
    file.write_text(f'token_keys = ["{key}"]\ntoken_audience = "calls"\ntoken_issuer = "us"\n')
    wanted = ("--channel", "lobby", "team-*", "--user", "anna", "--can", "publish:camera,message", "--can", "subscribe")
    assert run("--config", str(file), *wanted, "--expires-in", "60") == 0
    printed = capsys.readouterr()
    assert SECRET.decode() not in printed.out + printed.err
    now = time.time()
    rights = Tokens(load_keys([key]), "calls", "us").read_untrusted(printed.out.strip(), now)
    assert (rights.user_id, rights.channels) == ("anna", ("lobby", "team-*"))
    assert rights.grants == {"publish:camera", "message", "subscribe"}
    assert now < rights.expires <= now + 60


def test_a_token_without_can_does_not_moderate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    key = write_key(tmp_path, "k1", SECRET)
    assert run("--token-keys", key, *ANNA) == 0
    rights = Tokens(load_keys([key])).read_untrusted(capsys.readouterr().out.strip(), time.time())
    assert rights.grants == {"publish", "subscribe", "message", "watch"}


def test_a_token_may_say_that_it_takes_no_listed_seat(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    key = write_key(tmp_path, "k1", SECRET)
    for arguments, duplicates in (((), None), (("--duplicates", "reject"), "reject")):
        assert run("--token-keys", key, *ANNA, *arguments) == 0
        rights = Tokens(load_keys([key])).read_untrusted(capsys.readouterr().out.strip(), time.time())
        assert rights.duplicates == duplicates


def test_the_help_lists_every_grant(capsys: pytest.CaptureFixture[str]) -> None:
    app(["token", "--help"], result_action="return_value")
    shown = " ".join(capsys.readouterr().out.split())
    for grant in GRANTS:
        assert grant in shown


def test_kid_chooses_among_several_keys(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    keys = [write_key(tmp_path, "2025", SECRET), write_key(tmp_path, "2026", OTHER_SECRET)]
    assert run("--token-keys", *keys, "--kid", "2026", *ANNA) == 0
    token = capsys.readouterr().out.strip()
    assert Tokens(load_keys(keys[1:])).read_untrusted(token, time.time()).user_id == "anna"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((*ANNA,), "set token_keys to the key files of the gateway"),
        (("--token-keys", "PUBLIC", *ANNA), "no key in token_keys can sign: it takes a secret or a private key"),
        (("--token-keys", "SECRET", "--kid", "x", *ANNA), "no key with the id x in token_keys can sign"),
        (("--token-keys", "/nowhere", *ANNA), "cannot read the token key /nowhere: No such file or directory"),
        (("--token-keys", "SECRET", "--channel", "a b*c", "--user", "anna"), "no channel id"),
        (("--token-keys", "SECRET", "--channel", "lobby", "--user", "an na"), "the user must have 1 to 128"),
        (("--token-keys", "SECRET", *ANNA, "--can", "fly"), "unknown grant fly; there are publish,"),
        (("--token-keys", "SECRET", *ANNA, "--expires-in", "0"), "the token must be valid for 1 to"),
        (("--token-keys", "SECRET", *ANNA, "--expires-in", "nan"), "the token must be valid for 1 to"),
    ],
)
def test_impossible_tokens_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    files = {
        "SECRET": write_key(tmp_path, "k1", SECRET),
        "PUBLIC": write_key(tmp_path, "k2", public_pem("EdDSA")),
    }
    assert run(*(files.get(argument, argument) for argument in arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {complaint}")
    assert printed.err.count("\n") == 1


def test_the_settings_are_checked_like_all_others() -> None:
    with pytest.raises(ValueError, match="token_leeway must be from 0 to 300, not 301"):
        Config(token_leeway=301)
