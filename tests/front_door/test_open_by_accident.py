"""A gateway serves other machines without a secret only if its operator says so."""

import subprocess
import sys
import time
from typing import Any

import pytest

from gateway.config import Config
from gateway.config.exposure import accidental_exposure
from gateway.server import StartError, open_server

SERVE = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--media-port", "0"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--host", "0.0.0.0"], "host 0.0.0.0 lets other machines connect"),
        (["--host", "::"], "host :: lets other machines connect"),
        (["--allowed-hosts", "call.example.org"], "allowed-hosts serves other machines under call.example.org"),
    ],
)
def test_a_start_that_would_be_open_by_accident_ends_at_once_and_says_what_to_do(
    options: list[str], named: str
) -> None:
    begun = time.monotonic()
    ended = subprocess.run([*SERVE, *options], capture_output=True, text=True, timeout=30, check=False)
    assert time.monotonic() - begun < 5
    assert ended.returncode == 1
    assert ended.stderr == (
        f"error: {named}, and everybody there may join: set token-keys or join-token, or pass --open if everybody may\n"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "0"},
        {"host": "192.0.2.1"},
        {"host": "fe80::1%eth0"},
        {"host": "::ffff:192.0.2.1"},
        {"host": "call.example.org"},
        {"host": "bücher.example"},
        {"allowed_hosts": ("call.example.org",)},
        {"allowed_hosts": ("localhost", "call.example.org")},
        {"allowed_hosts": ("203.0.113.7",)},
    ],
)
def test_serving_other_machines_needs_a_token_or_consent(settings: dict[str, Any]) -> None:
    assert accidental_exposure(Config(**settings)) is not None
    assert accidental_exposure(Config(**settings, open=True)) is None
    assert accidental_exposure(Config(**settings, join_token="open sesame")) is None


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "127.0.0.2"},
        {"host": "::1"},
        {"host": "::ffff:127.0.0.1"},
        {"host": "localhost"},
        {"allowed_hosts": ("call.localhost", "127.0.0.1", "[::1]")},
        {"media_host": ("0.0.0.0",), "media_announce": ("203.0.113.7",)},
        {"metrics_host": "0.0.0.0", "metrics_port": 9090},
    ],
)
def test_a_gateway_for_this_machine_alone_needs_neither(settings: dict[str, Any]) -> None:
    assert accidental_exposure(Config(**settings)) is None


async def test_a_program_that_runs_a_gateway_is_refused_in_the_same_way() -> None:
    with pytest.raises(StartError, match=r"^host 0\.0\.0\.0 lets other machines connect, and everybody there may join"):
        async with open_server(Config(host="0.0.0.0", port=0, media_port=0)):
            pass
