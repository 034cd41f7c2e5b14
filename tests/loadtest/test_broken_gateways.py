"""A gateway that dies, refuses or answers nonsense causes one clear error and a report of the figures so far."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import trio_websocket

from tests.gateway_process import run_gateway
from tests.loadtest.run_tool import Run, end_of, run_tool, started_tool, wait_until


def says(run: Run, *words: str) -> None:
    """Check for status 1 and one line on standard error with all of these words."""
    assert run.status == 1
    [line] = run.said.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line
    assert run.report["error"] == line.removeprefix("error: ")


def test_a_gateway_that_is_killed_breaks_the_run_off_with_a_report(tmp_path: Path) -> None:
    with (
        suppress(AssertionError),  # the killed gateway ends with an error
        run_gateway(tmp_path / "log") as gateway,
        started_tool(gateway.url, "--members", "4", "--duration", "60s") as process,
    ):
        wait_until(lambda: gateway.live()["routes"] == 12)
        wait_until(lambda: gateway.metrics()['sfu_packets_total{direction="out"}'] > 2000)
        gateway.process.kill()
        run = end_of(process)
    says(run, "4 clients were lost", "the connection broke")
    assert 0 < run.figures["cpu_per_packet"] < 0.01
    assert run.report["media"]["audio"]["received"]["packets"] > 1000
    assert run.report["media"]["audio"]["latency"]["count"] > 10
    assert 2 <= run.report["clients"]["failed"] <= 4
    assert run.report["series"]
    assert run.report["overrun"] == []


def test_a_port_without_a_listener_breaks_the_run_off() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        run = run_tool(f"http://127.0.0.1:{taken.getsockname()[1]}", "--members", "2")
    says(run, "nobody could join", "cannot connect to ws://127.0.0.1")


def test_a_full_gateway_breaks_the_run_off(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--max-connections", "2") as gateway:
        run = run_tool(gateway.url, "--members", "4", "--duration", "1s")
    says(run, "2 of 4 clients", "HTTP 503")


def test_a_few_refused_clients_do_not_end_the_run(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--max-connections", "4") as gateway:
        run = run_tool(gateway.url, "--members", "5", "--duration", "1s", "--max-loss", "0.1%")
    assert run.status == 1
    assert run.report["error"] is None
    assert run.broken == {"failures"}
    assert run.report["clients"]["failures"] == {"the server refused the connection (HTTP 503)": 1}
    assert run.report["media"]["audio"]["received"]["packets"] > 100


def test_a_gateway_with_a_token_refuses_a_wrong_one_and_no_report_shows_it(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--join-token", "secret") as gateway:
        says(run_tool(gateway.url, "--members", "2", "--token", "wrong"), "nobody could join", "unauthenticated")
        right = run_tool(gateway.url, "--members", "2", "--duration", "1s", "--token", "secret")
        assert right.status == 0
        assert "secret" not in str(right.report)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that is no gateway."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def talk_gibberish(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"\x00\xff gibberish\r\n\r\n")


def serve_a_page(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")


@pytest.mark.parametrize("answer", [talk_gibberish, serve_a_page])
def test_a_server_that_is_no_gateway_breaks_the_run_off(answer: Callable[[socket.socket], None]) -> None:
    with server(answer) as url:
        says(run_tool(url, "--members", "2"), "nobody could join")


@pytest.mark.parametrize("text", ["gibberish", '{"id": 1, "type": "ok", "data": {"channelId": 7}}'])
async def test_a_gateway_that_sends_nonsense_breaks_the_run_off(text: str) -> None:
    async def answer(request: trio_websocket.WebSocketRequest) -> None:
        websocket = await request.accept(subprotocol="trio-sfu.v1")
        with suppress(trio_websocket.ConnectionClosed):
            await websocket.get_message()
            await websocket.send_message(text)
            await websocket.get_message()

    async with trio.open_nursery() as nursery:
        serve = partial(trio_websocket.serve_websocket, answer, "127.0.0.1", 0, None)
        running: trio_websocket.WebSocketServer = await nursery.start(serve)
        command = [
            sys.executable,
            "-m",
            "tools.loadtest.command",
            f"ws://127.0.0.1:{running.port}/ws",
            "--members",
            "2",
        ]
        with trio.fail_after(30):
            done: subprocess.CompletedProcess[bytes] = await trio.run_process(
                command, capture_stdout=True, capture_stderr=True, check=False
            )
        nursery.cancel_scope.cancel()
    assert done.returncode == 1
    assert b"error: nobody could join" in done.stderr
    assert b"cannot be read" in done.stderr
