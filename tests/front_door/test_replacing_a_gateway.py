"""A deploy on one machine: a new gateway process takes the place of the old one, and everybody is back within 3 s."""

import fcntl
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from attrs import define, field

from gateway.config import Config
from protocol import CloseCode, NextStep, VoiceState
from protocol.client import ConnectError, ConnectionClosed, new_session_secret
from sfu.wire.certificate import generate_certificate
from tests.eventually import eventually
from tests.gateway_process import ENVIRONMENT, GatewayProcess, poll_until, wait_listening
from tools.light import Identity, LightClient, Poller, open_light_client
from tools.light.encoders import encode_audio
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop

BACK_SECONDS = 3.0
CHANNELS, MEMBERS = 3, 4


@define
class Process:
    """A gateway that may not listen yet."""

    process: "subprocess.Popen[bytes]"
    log_file: Path

    def listening(self) -> GatewayProcess:
        return wait_listening(self.process, self.log_file)

    def waits(self, event: str = "waiting for the gateway that runs to end") -> None:
        poll_until(lambda: event in self.log_file.read_text(), bool, within=20)

    def ended(self) -> int:
        return self.process.wait(10)


@contextmanager
def started(log_file: Path, *options: str, port: int, media_port: int = 0) -> Iterator[Process]:
    ports = ["--port", str(port), "--media-port", str(media_port), "--planes", "1"]
    command = [sys.executable, "-m", "gateway", "serve", "--log-format", "json", *ports, *options]
    with log_file.open("wb") as log, subprocess.Popen(command, stderr=log, env=ENVIRONMENT) as process:
        try:
            yield Process(process, log_file)
        finally:
            if process.poll() is None:
                process.kill()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def loop() -> MediaLoop:
    return encode_audio()


@define
class Caller:
    """A light client that stays in a channel by the rules of the protocol."""

    url: str
    channel: str
    name: str
    identity: Identity
    loop: MediaLoop
    poller: Poller
    secret: str = field(factory=new_session_secret)
    visits: int = 0
    closed: list[ConnectionClosed] = field(factory=list)
    away_since: float | None = None
    away: float = 0.0
    listed: set[str] = field(factory=set)

    async def stay(self) -> None:
        wait = 0.25
        while True:
            try:
                async with open_light_client(
                    self.url, self.channel, self.name, self.identity,
                    user_id=self.name, session_secret=self.secret, poller=self.poller,
                ) as client:  # fmt: skip
                    wait = 0.25
                    self._came(client)
                    await self._talk(client)
            except ConnectionClosed as closed:
                self.closed.append(closed)
                self.away_since = time.monotonic()
                if closed.next_step is not NextStep.JOIN_AGAIN_AT_ONCE:
                    raise
                wait = self._asked_wait(closed)
            except ConnectError:
                pass
            await trio.sleep(wait)
            wait = min(2 * max(wait, 0.25), 30.0)

    def _asked_wait(self, closed: ConnectionClosed) -> float:
        assert closed.closing is not None
        assert closed.closing.retry_after_ms is not None
        assert 0 <= closed.closing.retry_after_ms <= 1000
        return closed.closing.retry_after_ms / 1000

    def _came(self, client: LightClient) -> None:
        self.visits += 1
        names = [participant.user_id for participant in client.joined.participants]
        assert len(names) == len(set(names))
        self.listed = set(names)
        if self.away_since is not None:
            self.away = time.monotonic() - self.away_since

    async def _talk(self, client: LightClient) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, client)
            try:
                async for event in client.signalling.events():
                    match event:
                        case VoiceState(type="user_joined", user_id=user_id) if user_id is not None:
                            assert user_id not in self.listed
                            self.listed.add(user_id)
                        case VoiceState(type="user_left", user_id=user_id) if user_id is not None:
                            self.listed.discard(user_id)
            except ConnectionClosed:
                nursery.cancel_scope.cancel()
                closing = client.signalling
        await closing.ping()  # raises ConnectionClosed, outside of the nursery's group

    async def _send(self, client: LightClient) -> None:
        try:
            await client.publish("audio", 4711)
            await LoopSender(self.loop, await client.transport("send"), ssrc=4711, rng=random.Random(1)).run()
        except (ConnectionClosed, OSError, trio.TooSlowError):
            pass


async def test_everybody_is_back_within_three_seconds_and_nobody_is_there_twice(
    tmp_path: Path, loop: MediaLoop
) -> None:
    port, media_port = free_port(), free_port(socket.SOCK_DGRAM)
    options = ("--state-dir", str(tmp_path / "state"))
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    with started(tmp_path / "old", *options, port=port, media_port=media_port) as old:
        first = await trio.to_thread.run_sync(old.listening)
        async with trio.open_nursery() as nursery:
            poller = Poller()
            nursery.start_soon(poller.run)
            callers = [
                Caller(first.websocket_url, f"room-{channel}", f"u{channel}-{member}", identity, loop, poller)
                for channel in range(CHANNELS)
                for member in range(MEMBERS)
            ]
            for caller in callers:
                nursery.start_soon(caller.stay)
            await eventually(lambda: all(len(caller.listed) == MEMBERS for caller in callers), 20)
            with started(tmp_path / "new", *options, port=port, media_port=media_port) as new:
                await trio.to_thread.run_sync(new.waits)
                assert all(caller.visits == 1 for caller in callers)
                old.process.send_signal(signal.SIGTERM)
                await eventually(lambda: all(caller.visits == 2 for caller in callers), 15)
                second = await trio.to_thread.run_sync(new.listening)
                await eventually(lambda: all(len(caller.listed) == MEMBERS for caller in callers))
                assert {closed.code for caller in callers for closed in caller.closed} == {CloseCode.SERVICE_RESTART}
                assert max(caller.away for caller in callers) <= BACK_SECONDS
                live = await trio.to_thread.run_sync(second.live)
                assert (live["members"], live["sessions"]) == (len(callers), len(callers))
                # The old process may have closed its own port already, but it need not have.
                assert 0 <= second.media_port - media_port <= 3
                assert await trio.to_thread.run_sync(old.ended) == 0
                _judge_order(first, second)
                nursery.cancel_scope.cancel()


def _judge_order(first: GatewayProcess, second: GatewayProcess) -> None:
    """The last `user_left` of the old process comes before the new one listens."""
    left = [line["timestamp"] for line in first.log() if line["event"] == "members notified"]
    [listening] = [line["timestamp"] for line in second.log() if line["event"] == "listening"]
    assert len(left) == CHANNELS * MEMBERS
    assert max(left) <= listening


def test_a_waiting_gateway_says_who_holds_the_lock_and_ends_on_sigterm_at_once(tmp_path: Path) -> None:
    options = ("--state-dir", str(tmp_path / "state"))
    with started(tmp_path / "old", *options, port=0) as old:
        old.listening()
        with started(tmp_path / "new", *options, port=0) as new:
            new.waits()
            assert f'"holder": {old.process.pid}' in new.log_file.read_text()
            assert '"listening"' not in new.log_file.read_text()
            new.process.send_signal(signal.SIGHUP)
            new.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert new.ended() == 0
            assert time.monotonic() - began < 2
        # Nobody waits any more, so the old one drains as ever.
        old.process.send_signal(signal.SIGTERM)
        assert old.ended() == 0
        assert "handing over" not in old.log_file.read_text()


def test_the_place_of_a_killed_gateway_is_free(tmp_path: Path) -> None:
    options, port = ("--state-dir", str(tmp_path / "state")), free_port()
    with started(tmp_path / "old", *options, port=port) as old, started(tmp_path / "new", *options, port=port) as new:
        poll_until(lambda: '"listening"' in old.log_file.read_text() + new.log_file.read_text(), bool, within=20)
        runs, waits = (old, new) if '"listening"' in old.log_file.read_text() else (new, old)
        waits.waits()
        runs.process.kill()
        assert waits.listening().port == port


def test_a_drain_ends_when_a_successor_comes(tmp_path: Path) -> None:
    options, port = ("--state-dir", str(tmp_path / "state"), "--drain-timeout", "60"), free_port()
    with started(tmp_path / "old", *options, port=port) as old:
        old.listening()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(UPGRADE)
            assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
            old.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert old.process.poll() is None
            with started(tmp_path / "new", *options, port=port) as new:
                seen = b""
                while more := client.recv(4096):
                    seen += more
                assert b'"code":1012' in seen
                assert new.listening().port == port
                assert old.ended() == 0


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_without_a_folder_the_port_is_the_place(tmp_path: Path) -> None:
    options, port = ("--port-wait", "60", "--drain-timeout", "60"), free_port()
    media_port = free_port(socket.SOCK_DGRAM)
    with started(tmp_path / "old", *options, port=port, media_port=media_port) as old:
        old.listening()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(UPGRADE)
            assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
            with started(tmp_path / "new", *options, port=port, media_port=media_port) as new:
                new.waits("waiting for the TCP port")
                old.process.send_signal(signal.SIGTERM)
                seen = b""
                while more := client.recv(4096):
                    seen += more
                assert b'"code":1012' in seen
                assert new.listening().port == port
                assert old.ended() == 0


def test_a_port_that_stays_taken_gives_one_line_in_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path / "log", "--port-wait", "0.5", port=port) as waits:
            assert waits.ended() == 1
        last = waits.log_file.read_text().splitlines()[-1]
        assert last == f"error: cannot listen on 127.0.0.1:{port} (TCP): Address already in use"


def test_a_broken_successor_ends_before_it_waits(tmp_path: Path) -> None:
    options = ("--state-dir", str(tmp_path / "state"))
    with started(tmp_path / "old", *options, port=0) as old:
        old.listening()
        with started(tmp_path / "new", *options, "--token-keys", "absent", port=0) as new:
            assert new.ended() == 1
        assert "waiting" not in new.log_file.read_text()
        assert old.process.poll() is None


def test_an_unusable_folder_is_reported_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with started(tmp_path / "log", "--state-dir", str(tmp_path / "file"), port=0) as broken:
        assert broken.ended() == 1
    assert "error: cannot use the folder state-dir" in broken.log_file.read_text()


def test_the_lock_is_for_the_owner_alone_and_follows_no_link(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"
    with started(tmp_path / "log", "--state-dir", str(folder), port=0) as runs:
        runs.listening()
        assert (folder.stat().st_mode & 0o777, (folder / "lock").stat().st_mode & 0o777) == (0o700, 0o600)
        assert (folder / "lock").read_text() == f"{runs.process.pid}\n"
        with (folder / "lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(tmp_path / "elsewhere")
    with started(tmp_path / "log", "--state-dir", str(folder), port=0) as linked:
        assert linked.ended() == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_gateway_that_takes_over_has_four_groups_of_media_ports(tmp_path: Path) -> None:
    def ports(**settings: object) -> list[list[int]]:
        config = Config(planes=2, **settings)  # type: ignore[arg-type]  # attrs checks the names
        return [[media.port for media in group] for group in config.media_groups]

    assert ports(media_port=40000) == [[40000, 40001]]
    four = [[40000, 40001], [40002, 40003], [40004, 40005], [40006, 40007]]
    assert ports(media_port=40000, state_dir=tmp_path) == four
    assert ports(media_port=40000, port_wait=1) == four
    assert ports(media_port=65533, state_dir=tmp_path) == [[65533, 65534]]
    assert ports(media_port=0, state_dir=tmp_path) == [[0, 0]]
    with pytest.raises(ValueError, match="set state_dir or port_wait, not both"):
        Config(state_dir=tmp_path, port_wait=1)
