"""The gateway as a process: it prints its address, obeys signals, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.request import urlopen

import pytest
import structlog
import trio

from gateway.config import Config
from gateway.server import StartError, open_server, serve
from tests.front_door.memory_front_door import connect_tcp, open_websocket, parse, read_all, request

CONFIG = Config(port=0, media_port=0)
PATIENCE = 30


class ExitedAtOnceError(Exception):
    """Replaces the end of the process."""


@contextmanager
def gateway(*arguments: str, prefix: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run ``sfu-gateway serve`` on free ports in a process of its own. ``prefix`` is a command that starts it."""
    command = [*prefix, sys.executable, "-m", "gateway", "serve", "--port", "0", "--media-port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_about(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Return the next line of the log about this event."""
    assert process.stderr is not None
    for text in process.stderr:
        line: dict[str, Any] = json.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"it ended without {event}")


def test_the_gateway_prints_its_address_serves_there_and_stops_on_sigterm() -> None:
    with gateway("--log-format", "json") as process:
        line = line_about(process, "listening")
        for media in line["media"].split(", "):
            host, _, port = media.rpartition(":")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, pytest.raises(OSError, match="in use"):
                taken.bind((host, int(port)))
        with urlopen(line["url"] + "/readyz") as answer:
            assert answer.status == 200
        process.terminate()
        line_about(process, "draining")
        line_about(process, "stopped")
        assert process.wait(PATIENCE) == 0


def test_a_second_ctrl_c_ends_the_gateway_at_once() -> None:
    with gateway("--log-format", "json") as process:
        host, _, port = line_about(process, "listening")["url"].removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
            process.send_signal(signal.SIGINT)
            draining = line_about(process, "draining")
            assert draining["clients"] == 1
            assert draining["hint"] == "press Ctrl-C again to exit at once"
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130


def test_a_gateway_under_nohup_outlives_its_terminal() -> None:
    with gateway("--log-format", "json", "--drain-timeout", "0", prefix=("nohup",)) as process:
        url = line_about(process, "listening")["url"]
        process.send_signal(signal.SIGHUP)
        with urlopen(url + "/readyz") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert line_about(process, "draining")["signal"] == "SIGTERM"
        assert process.wait(PATIENCE) == 0


def test_an_occupied_port_gives_one_clear_line_and_status_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "gateway", "serve", "--port", str(port), "--media-port", "0"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"error: cannot listen on 127.0.0.1:{port} (TCP): Address already in use\n"


async def test_a_failed_self_test_keeps_the_gateway_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("2 of 3 packets arrived")

    monkeypatch.setattr("sfu._dataplane.self_test", fail)
    with pytest.raises(StartError, match="the data plane failed its self-test on this machine: 2 of 3 packets arrived"):
        await serve(CONFIG)


async def test_the_gateway_cannot_listen_on_a_foreign_host() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:0 \(TCP\): "):
        async with open_server(Config(host="192.0.2.1", open=True, port=0, media_port=0)):
            pass


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("203.0.113.7", "media-announce the public address of a NAT"),
        ("2001:db8::7", "media-announce the public address of a NAT"),
    ],
)
async def test_the_gateway_cannot_open_a_foreign_media_host(host: str, why: str) -> None:
    with pytest.raises(StartError, match=f"cannot open the media port on .*{why}$"):
        async with open_server(Config(port=0, media_port=0, media_host=(host,))):
            pass


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("not an address", "'not an address' is neither an address nor a name "),
        ("203.0.113.7:40000", "'203.0.113.7:40000' is neither an address nor a name "),
        ("nobody.invalid", "the name 'nobody.invalid' cannot be resolved: "),
    ],
)
async def test_an_unusable_host_is_reported_with_its_setting(host: str, why: str) -> None:
    with pytest.raises(StartError, match=f"^cannot listen on the addresses of media-host: {why}"):
        async with open_server(Config(port=0, media_port=0, media_host=(host,))):
            pass
    with pytest.raises(StartError, match=f"^cannot announce the addresses of media-announce: {why}"):
        async with open_server(Config(port=0, media_port=0, media_announce=(host,))):
            pass


async def test_an_unreachable_announced_address_is_reported() -> None:
    with pytest.raises(
        StartError, match=r"^cannot announce the addresses of media-announce: nobody can send to 0\.0\.0\.0$"
    ):
        async with open_server(Config(port=0, media_port=0, media_announce=("0.0.0.0",))):
            pass


async def test_an_occupied_media_port_cannot_be_opened() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot open the media port on 127\.0\.0\.1:{port} \(UDP\): Address"):
            async with open_server(Config(port=0, media_port=port)):
                pass


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """Restore the default handling of signals, which the parent process may have changed."""
    numbers = (signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2])
async def test_a_signal_drains_and_ends_the_gateway(usual_signals: None, number: signal.Signals) -> None:
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, CONFIG)
            signal.raise_signal(number)
    assert [line["event"] for line in logs] == ["listening", "draining", "stopped"]
    assert logs[1]["signal"] == number.name


@pytest.mark.parametrize(("second", "status"), [(signal.SIGTERM, 1), (signal.SIGINT, 130), (signal.SIGQUIT, 131)])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGQUIT])
async def test_a_second_signal_ends_the_process_with_a_status_that_shows_it(
    usual_signals: None, first: signal.Signals, second: signal.Signals, status: int
) -> None:
    statuses = []

    def exit_at_once(status: int) -> NoReturn:
        statuses.append(status)
        raise ExitedAtOnceError

    with pytest.RaisesGroup(ExitedAtOnceError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve, CONFIG, exit_at_once=exit_at_once))
            async with await connect_tcp(server) as stream:
                websocket = await open_websocket(nursery, stream)
                signal.raise_signal(first)
                await trio.testing.wait_all_tasks_blocked()
                for _ in range(3):  # a reload now would be of no use
                    signal.raise_signal(signal.SIGHUP)
                    await trio.testing.wait_all_tasks_blocked()
                assert statuses == []
                assert websocket.closed is None
                signal.raise_signal(second)
                await trio.sleep_forever()
    assert statuses == [status]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::", "http://[::1]:"),
    ],
)
async def test_the_url_of_a_server_leads_to_it(host: str, shown: str) -> None:
    async with open_server(Config(host=host, open=True, port=0, media_port=0)) as server:
        assert server.url.startswith(shown)
        stream = await connect_tcp(server)
        await stream.send_all(request("/healthz"))
        assert parse(await read_all(stream)).text == "ok\n"
        await stream.aclose()


class TwoAddresses(trio.abc.HostnameResolver):
    """Resolve every name to this machine, twice."""

    async def getaddrinfo(self, host: object, port: Any, *_: int) -> list[Any]:
        await trio.lowlevel.checkpoint()
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        ]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise NotImplementedError


async def test_a_name_with_several_addresses_has_one_port_on_all_of_them() -> None:
    trio.socket.set_custom_hostname_resolver(TwoAddresses())
    async with open_server(Config(host="meet.example.org", open=True, port=0, media_port=0)) as server:
        port = int(server.url.rpartition(":")[2])
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with trio.socket.socket(family) as client:
                await client.connect((host, port))


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - pathlib would open one more


async def test_clients_leave_no_file_descriptors_behind() -> None:
    before = open_files()
    async with open_server(CONFIG) as server:
        running = open_files()
        async with trio.open_nursery() as nursery:
            for data in (request("/metrics"), request("/"), b"nonsense\r\n\r\n", b"GET / HT", request("/ws")):
                stream = await connect_tcp(server)
                await stream.send_all(data)
                await stream.send_eof()
                await read_all(stream)
                await stream.aclose()
            websocket = await open_websocket(nursery, await connect_tcp(server))
            await websocket.aclose()
            reset = await connect_tcp(server)
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            await trio.aclose_forcefully(reset)
            nursery.cancel_scope.cancel()
        for _ in range(500):
            if open_files() == running:
                break
            await trio.sleep(0.01)
        assert open_files() == running
    assert open_files() == before


async def test_a_large_file_arrives_whole_over_a_real_socket(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "large.bin").write_bytes(content)
    async with open_server(Config(port=0, media_port=0, web_root=tmp_path)) as server:
        stream = await connect_tcp(server)
        await stream.send_all(request("/assets/large.bin"))
        assert parse(await read_all(stream)).body == content
        await stream.aclose()


async def test_a_refusal_arrives_although_the_client_is_still_sending_over_a_real_socket() -> None:
    async with open_server(CONFIG) as server:
        stream = await connect_tcp(server)
        await stream.send_all(request("/", "POST", {"Content-Length": "500000"}, bytes(500_000)))
        answer = parse(await read_all(stream))
        assert (answer.status, answer.complete) == (413, True)
        await stream.aclose()


async def test_a_response_that_has_begun_is_finished_before_it_stops(tmp_path: Path) -> None:
    content = os.urandom(10_000_000)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "large.bin").write_bytes(content)
    received = bytearray()

    async def read_rest(stream: trio.SocketStream) -> None:
        received.extend(await read_all(stream))
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        config = Config(port=0, media_port=0, web_root=tmp_path, goodbye_timeout=10)
        async with open_server(config) as server:
            stream = await connect_tcp(server)
            await stream.send_all(request("/assets/large.bin"))
            received += await stream.receive_some()
            nursery.start_soon(read_rest, stream)
    assert parse(bytes(received)).body == content
