"""The doctor tries STUN and TURN servers: real ones, and programs that answer with nonsense."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.checks import relays
from gateway.checks.findings import Level
from gateway.checks.relays import ServerUrl, check_relays
from gateway.checks.stun import BadResponse, Method, Request, missing_bytes
from gateway.config import Config
from protocol.vocabulary import IceServer
from tests.coturn import run_coturn

SECRET = "a long text that nobody guesses"


def servers(*urls: str, username: str | None = None, credential: str | None = None) -> tuple[IceServer, ...]:
    return (IceServer(urls, username, credential),)


@pytest.fixture(scope="module")
def turn_port() -> Iterator[int]:
    with run_coturn(SECRET, "127.0.0.1", "127.0.0.1", "--allow-loopback-peers") as port:
        yield port


async def test_a_real_turn_server_takes_the_credential_that_clients_get(turn_port: int) -> None:
    urls = [f"turn:127.0.0.1:{turn_port}", f"turn:127.0.0.1:{turn_port}?transport=tcp", f"stun:127.0.0.1:{turn_port}"]
    over_udp, over_tcp, stun = await check_relays(Config(ice_servers=servers(*urls), turn_secret=SECRET))
    for found in (over_udp, over_tcp):
        assert found.text == "accepts the credential, and relays at 127.0.0.1, which the internet does not reach"
        assert found.level is Level.WARNING
    assert (stun.level, stun.text) == (Level.OK, "answers, and sees 127.0.0.1")


async def test_a_real_turn_server_refuses_another_secret(turn_port: int) -> None:
    config = Config(ice_servers=servers(f"turn:127.0.0.1:{turn_port}"), turn_secret="another secret")
    (found,) = await check_relays(config)
    assert found.level is Level.ERROR
    assert found.text.startswith("refuses the credential: 401")


async def test_a_turn_server_without_a_credential_is_an_error(turn_port: int) -> None:
    (found,) = await check_relays(Config(ice_servers=servers(f"turn:127.0.0.1:{turn_port}")))
    assert (found.level, found.text) == (Level.ERROR, "has no credential, and browsers refuse it")


@pytest.mark.parametrize("url", ["turn:127.0.0.1:{}", "turn:127.0.0.1:{}?transport=tcp", "stun:127.0.0.1:{}"])
async def test_a_server_that_is_not_there_is_an_error(url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (found,) = await check_relays(Config(ice_servers=servers(url.format(port), username="u", credential="c")))
    assert found.level is Level.ERROR
    assert found.text.startswith("cannot be reached")


async def test_a_server_that_keeps_silent_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relays, "_SECONDS", 0.3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        (found,) = await check_relays(Config(ice_servers=servers(f"stun:127.0.0.1:{silent.getsockname()[1]}")))
    assert (found.level, found.text) == (Level.ERROR, "does not answer within 0.3 s")


@contextmanager
def talks_nonsense(answer: bytes) -> Iterator[int]:
    """A UDP server that answers everything with the same bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)

        def serve() -> None:
            try:
                server.sendto(answer, server.recvfrom(2048)[1])
            except OSError:
                return

        thread = Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


async def test_a_server_that_is_no_stun_server_is_told_apart() -> None:
    with talks_nonsense(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        (found,) = await check_relays(Config(ice_servers=servers(f"stun:127.0.0.1:{port}")))
    assert (found.level, found.text) == (Level.ERROR, "answers with no STUN response to this request")


async def test_more_servers_than_anybody_needs_are_not_all_tried() -> None:
    urls = [f"x:{number}" for number in range(18)]
    *tried, rest = await check_relays(Config(ice_servers=servers(*urls)))
    assert len(tried) == 16
    assert (rest.level, rest.text) == (Level.UNKNOWN, "2 more servers were not tried")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("stun:stun.example.org", ServerUrl(False, False, "stun.example.org", 3478, False)),
        ("turn:192.0.2.1:80?transport=tcp", ServerUrl(True, False, "192.0.2.1", 80, True)),
        ("turn:[2001:db8::1]:80?transport=udp", ServerUrl(True, False, "2001:db8::1", 80, False)),
        ("turns:turn.example.org", ServerUrl(True, True, "turn.example.org", 5349, True)),
    ],
)
def test_urls_have_the_ports_of_their_schemes(url: str, expected: ServerUrl) -> None:
    assert ServerUrl.parse(url) == expected


@pytest.mark.parametrize("url", ["http://x", "turn:", "turn:x:y", "turn:x?transport=sctp", "turn:x:70000"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        ServerUrl.parse(url)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_responses(data: bytes) -> None:
    request = Request.make(Method.ALLOCATE)
    for text in (data, request.data[:2] + data, b"\x01\x03" + len(data).to_bytes(2, "big") + request.data[4:20] + data):
        with suppress(BadResponse):
            request.read_response_untrusted(text)
    assert missing_bytes(request.data) == 0
