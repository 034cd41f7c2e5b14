"""TURN credentials that expire."""

import base64
import hashlib
import hmac
import subprocess
import time

import pytest
from trio.testing import MockClock

from gateway.config import Config
from gateway.identity.turn import with_credentials
from protocol.vocabulary import IceServer
from tests.coturn import run_coturn
from tests.session.memory_gateway import TODAY, open_rig

SECRET = "a long text that nobody guesses"
TURN = IceServer(("turn:turn.example.org:3478",))


def test_a_credential_is_the_keyed_hash_of_its_end_and_its_user() -> None:
    [server] = with_credentials([TURN], SECRET, "ada", 1_800_000_000.9)
    assert server.username == "1800000000:ada"
    digest = hmac.new(SECRET.encode(), b"1800000000:ada", hashlib.sha1).digest()
    assert server.credential == base64.b64encode(digest).decode()
    assert server.urls == TURN.urls


def test_only_turn_servers_without_a_credential_get_one() -> None:
    given = (
        IceServer(("stun:stun.example.org",)),
        IceServer(("turn:other.example.org",), "call", "another text"),
        IceServer(("turns:turn.example.org:443?transport=tcp",)),
    )
    assert with_credentials(given, None, "ada", 1.0) == given
    stun, other, turn = with_credentials(given, SECRET, "ada", 1.0)
    assert (stun, other) == given[:2]
    assert turn.credential is not None


async def test_each_join_gets_a_credential_of_its_own(autojump_clock: MockClock) -> None:
    async with open_rig(ice_servers=(TURN,), turn_secret=SECRET, turn_seconds=3600) as rig:
        client = await rig.connect()
        [server] = (await client.join("ada"))["iceServers"]
        assert server["username"] == f"{int(TODAY.timestamp() + 3600)}:ada"
        assert SECRET not in repr(rig.gateway.config)


def relays(port: int, server: IceServer) -> bool:
    """Whether the server at this port relays for a client with this credential."""
    command = [
        "turnutils_uclient",
        "-y",
        "-n",
        "2",
        "-m",
        "1",
        "-u",
        str(server.username),
        "-w",
        str(server.credential),
    ]
    try:
        ended = subprocess.run([*command, "-p", str(port), "127.0.0.1"], capture_output=True, timeout=15, check=False)
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0 and b"Total lost packets 0" in ended.stdout


def test_a_real_turn_server_accepts_the_credential_and_no_other() -> None:
    soon = time.time() + 600
    [good] = with_credentials([TURN], SECRET, "ada", soon)
    [forged] = with_credentials([TURN], "another secret", "ada", soon)
    [late] = with_credentials([TURN], SECRET, "ada", time.time() - 600)
    with run_coturn(SECRET, "127.0.0.1", "127.0.0.1", "--allow-loopback-peers") as port:
        assert relays(port, good)
        assert not relays(port, forged)
        assert not relays(port, late)


@pytest.mark.parametrize("seconds", [0, 59, 10**9])
def test_a_credential_lasts_for_a_sensible_time(seconds: int) -> None:
    with pytest.raises(ValueError, match="turn_seconds"):
        Config(turn_seconds=seconds)
