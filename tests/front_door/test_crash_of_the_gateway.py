"""A gateway that is killed again and again: afterwards its journal and each reader have the same history."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from gateway.presence.store import FILE_NAME
from protocol import client as clients
from protocol.client import connect
from protocol.mirror import Mirror as WatchingMirror
from tests.eventually import eventually
from tests.front_door.test_presence_stream import Mirror, Stream, StreamEnded
from tests.gateway_process import ENVIRONMENT, GatewayProcess, wait_listening
from tests.presence.test_store import check_pairs
from tests.webhooks.backend import Backend, open_backend, write_secret

CHANNELS = ("lobby", "studio", "attic")
MEMBERS = 15
ROUNDS = 4
History = dict[str, list[tuple[str, int, int, str | None, str | None]]]
"""By channel: type, epoch, revision, user ID and reason of each entry."""
GONE = (clients.ConnectError, clients.ConnectionClosed, clients.EventsLost, clients.RequestError, trio.TooSlowError)


@contextmanager
def gateway_in(folder: Path, name: str, port: int = 0, *more: str) -> Iterator[GatewayProcess]:
    """A gateway that keeps its journal in this folder. The block ends it if it still runs."""
    log_file = folder / name
    command = [sys.executable, "-m", "gateway", "serve", "--log-format", "json", "--drain-timeout", "0"]
    options = ["--port", str(port), "--media-port", "0", "--planes", "1", "--no-shed-newcomers"]
    state = ["--state-dir", str(folder / "state")]
    with (
        log_file.open("wb") as log,
        subprocess.Popen([*command, *options, *state, *more], stderr=log, env=ENVIRONMENT) as process,
    ):
        try:
            yield wait_listening(process, log_file)
        finally:
            if process.poll() is None:
                process.kill()


async def come_and_go(user: str, url: str, rng: random.Random) -> None:
    """Join channels and leave them, in every way, whatever happens to the gateway."""
    while True:
        with suppress(*GONE):
            async with connect(url) as client:
                for _ in range(rng.randrange(1, 4)):
                    await client.join(rng.choice(CHANNELS), user, user_id=user)
                    await trio.sleep(rng.random() / 4)
                    if rng.random() < 0.3:
                        break  # without a goodbye to the channel
                    await client.leave()
        await trio.sleep(rng.random() / 10)


async def read_stream(address: tuple[str, int], mirror: Mirror) -> None:
    """Read the server-sent events, and come back with the last id after each break."""
    while True:
        with suppress(OSError, EOFError, StreamEnded, trio.BrokenResourceError):
            async with await trio.open_tcp_stream(*address) as tcp:
                stream = Stream(tcp)
                headers = {"Last-Event-ID": mirror.ids[-1]} if mirror.ids else {}
                query = "&".join(f"channel={name}" for name in CHANNELS)
                await stream.open(f"/api/presence?{query}", headers)
                while True:
                    mirror.take(await stream.next())
        await trio.sleep(0.05)


async def watch(url: str, mirror: WatchingMirror) -> None:
    while True:
        with suppress(*GONE):
            async with connect(url) as client:
                mirror.start(await client.watch(CHANNELS, after=mirror.after))
                async for event in client.events():
                    mirror.take(event)
        await trio.sleep(0.05)


async def trouble(backend: Backend, rng: random.Random) -> None:
    """Let the receiver of the webhooks fail and hang now and then."""
    while True:
        await trio.sleep(rng.random())
        backend.status, backend.hangs = rng.choice([(204, False), (500, False), (204, True)])


def history(folder: Path) -> History:
    """The entries of each channel on the disk."""
    found = defaultdict(list)
    with closing(sqlite3.connect(folder / "state" / FILE_NAME)) as database:
        rows = database.execute("SELECT channel, type, epoch, revision, text FROM entries ORDER BY number").fetchall()
    for channel, kind, epoch, revision, text in rows:
        data: dict[str, Any] = json.loads(text)["data"] if text else {}
        found[channel].append((kind, epoch, revision, data.get("userId"), data.get("reason")))
    return found


def changes_in(entries: History) -> History:
    """The changes of members alone."""
    return {channel: [entry for entry in found if entry[3] is not None] for channel, found in entries.items()}


def told_to(backend: Backend) -> History:
    """The changes that the receiver of webhooks has got."""
    return {
        channel: [
            (each["type"], each["epoch"], each["revision"], each["userId"], each.get("reason")) for each in changes
        ]
        for channel, changes in backend.history.items()
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_any_number_of_kills_every_join_has_one_leave_and_all_readers_agree(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    stream, watched, port = Mirror(), WatchingMirror(), 0
    async with open_backend() as backend, trio.open_nursery() as nursery:
        key = write_secret(tmp_path)
        hooks = ("--webhook-urls", backend.url, "--webhook-keys", key, "--webhook-timeout", "0.5")
        for number in range(ROUNDS + 1):
            with gateway_in(tmp_path, f"log-{number}", port, *hooks) as gateway:
                if not port:
                    address = urlsplit(gateway.url)
                    assert address.hostname is not None
                    assert address.port is not None
                    port = address.port
                    url = gateway.websocket_url
                    nursery.start_soon(read_stream, (address.hostname, port), stream)
                    nursery.start_soon(watch, url, watched)
                    await backend.until(lambda: "presence.reset" in backend.types)
                    await trio.sleep(0.5)  # until that is on the disk
                    nursery.start_soon(trouble, backend, random.Random(seed + 500))
                    for member in range(MEMBERS):
                        nursery.start_soon(come_and_go, f"user-{member}", url, random.Random(seed * 1000 + member))
                await trio.sleep(0.5 + rng.random())
                gateway.process.send_signal(signal.SIGKILL)
        nursery.cancel_scope.cancel()
    # The last start lets everybody leave who was there at the last kill.
    backend.status, backend.hangs = 204, False
    async with backend.listening():
        with gateway_in(tmp_path, "log-last", port, *hooks) as gateway:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read_stream, ("127.0.0.1", port), stream)
                nursery.start_soon(watch, gateway.websocket_url, watched)
                await eventually(lambda: not watched.channels and not any(map(stream.users, CHANNELS)), seconds=10)
                # The list alone may be right too soon: a receiver that hung has not heard of the last newcomers yet.
                await eventually(lambda: told_to(backend) == changes_in(history(tmp_path)), seconds=10)
                nursery.cancel_scope.cancel()
            gateway.stop()
    entries = history(tmp_path)
    for channel in CHANNELS:
        check_pairs(entries[channel])
    assert not backend.present()
    assert backend.types.count("presence.reset") == 1
    lost = [reason for found in entries.values() for *_, reason in found if reason == "node_lost"]
    assert lost
    assert len(stream.ids) == len(set(stream.ids))
