"""Webhooks over real sockets: a backend that fails, hangs or comes back late ends with the history of the lists."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.config import Config
from gateway.presence import webhooks
from gateway.presence.store import FILE_NAME
from gateway.server import Server, StartError, open_server
from protocol.client import Client, ConnectionClosed, connect
from tests.eventually import eventually
from tests.webhooks.backend import Backend, open_backend, write_secret


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(webhooks, "LONGEST_PAUSE", 0.2)


@asynccontextmanager
async def running(folder: Path, *backends: Backend, **settings: Any) -> AsyncIterator[Server]:
    urls = tuple(backend.url for backend in backends)
    config = Config(port=0, media_port=0, planes=1, webhook_urls=urls, webhook_keys=(write_secret(folder),), **settings)
    async with open_server(config) as server:
        yield server


@asynccontextmanager
async def people(server: Server, *places: str) -> AsyncIterator[list[Client]]:
    """Let people join, each ``user@channel``. They leave at the end of the block."""
    url = server.url.replace("http", "ws") + "/ws"
    async with AsyncExitStack() as stack:
        clients = []
        for place in places:
            user, _, channel = place.partition("@")
            client = await stack.enter_async_context(connect(url))
            await client.join(channel, user, user_id=user)
            clients.append(client)
        yield clients


async def test_each_change_comes_once_in_order_and_signed(tmp_path: Path) -> None:
    async with open_backend() as backend, running(tmp_path, backend) as server:
        async with people(server, "ada@lobby", "ben@lobby", "cleo@attic") as (ada, *_):
            await ada.move("attic")
            await backend.until(lambda: backend.present() == {"lobby": ["ben"], "attic": ["ada", "cleo"]})
        await backend.until(lambda: not backend.present())
        assert backend.types[0] == "presence.reset"
        assert [(each["type"], each["userId"]) for each in backend.history["lobby"]] == [
            ("user_joined", "ada"),
            ("user_joined", "ben"),
            ("user_left", "ada"),
            ("user_left", "ben"),
        ]
        assert backend.history["lobby"][2]["reason"] == "moved"
        assert set(backend.ids.values()) == {1}


@pytest.mark.parametrize("trouble", ["500", "hangs"])
async def test_a_backend_in_trouble_loses_nothing_and_delays_no_other(tmp_path: Path, trouble: str) -> None:
    async with open_backend() as bad, open_backend() as good:
        bad.status, bad.hangs = (500, False) if trouble == "500" else (204, True)
        async with running(tmp_path, bad, good, webhook_timeout=0.2) as server:
            async with people(server, "ada@lobby", "ben@attic"):
                await good.until(lambda: good.present() == {"lobby": ["ada"], "attic": ["ben"]}, 2)
                if trouble == "500":
                    await bad.until(lambda: bad.refused > 3)
                assert not bad.present()
            await good.until(lambda: not good.present(), 2)
            bad.status, bad.hangs = 204, False
            await bad.until(lambda: bad.history.keys() == {"lobby", "attic"} and not bad.present())
            assert bad.history == good.history


async def test_a_backend_that_starts_late_gets_everything(tmp_path: Path) -> None:
    async with open_backend() as first:
        url = first.url
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    late = Backend(url=url)
    async with running(tmp_path, late) as server, people(server, "ada@lobby"):
        await eventually(lambda: "sfu_webhook_failures_total" in server.gateway.metrics.render().decode())
        async with open_backend(port) as backend:
            await backend.until(lambda: backend.present() == {"lobby": ["ada"]})
            assert [each["type"] for each in backend.history["lobby"]] == ["user_joined"]


async def test_too_much_for_the_backlog_becomes_whole_lists(tmp_path: Path) -> None:
    async with open_backend() as backend:
        backend.status = 503
        async with running(tmp_path, backend, webhook_backlog=4) as server:
            async with people(server, "ada@lobby", "ben@attic") as (ada, _):
                for number in range(8):
                    await ada.move(["garden", "lobby"][number % 2])
                await backend.until(lambda: backend.refused > 1)
                rendered = server.gateway.metrics.render().decode()
                [dropped] = [line for line in rendered.splitlines() if line.startswith("sfu_webhooks_dropped_total{")]
                assert float(dropped.split()[-1]) > 0
                backend.status = 204
                await backend.until(lambda: backend.present() == {"lobby": ["ada"], "attic": ["ben"]})
                assert "presence.snapshot" in backend.types
            await backend.until(lambda: not backend.present())


async def test_after_a_restart_a_backend_gets_what_it_missed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    async with open_backend() as backend:
        async with running(tmp_path, backend, state_dir=state) as server:
            async with people(server, "ada@lobby"):
                await backend.until(lambda: backend.present() == {"lobby": ["ada"]})
            await backend.until(lambda: not backend.present())
        backend.status = 500
        async with running(tmp_path, backend, state_dir=state) as server, people(server, "ben@lobby"):
            await backend.until(lambda: backend.refused > 1)
        backend.status = 204
        async with running(tmp_path, backend, state_dir=state):
            await backend.until(lambda: len(backend.history["lobby"]) == 4)
        assert [(each["type"], each["userId"]) for each in backend.history["lobby"]] == [
            ("user_joined", "ada"),
            ("user_left", "ada"),
            ("user_joined", "ben"),
            ("user_left", "ben"),
        ]
        assert backend.types.count("presence.reset") == 1


async def test_without_a_journal_on_disk_each_start_tells_to_forget_everything(tmp_path: Path) -> None:
    async with open_backend() as backend:
        for _ in range(2):
            async with running(tmp_path, backend):
                await backend.until(lambda: backend.types[-1:] == ["presence.reset"])
        await trio.sleep(0.1)
        assert backend.types == ["presence.reset"] * 2


async def test_a_key_that_is_none_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    key = write_secret(tmp_path, text="whsec_short")
    config = Config(port=0, media_port=0, webhook_urls=("http://127.0.0.1:1/",), webhook_keys=(key,))
    with pytest.raises(StartError, match="must be one line: whsec_"):
        async with open_server(config):
            pass


@pytest.mark.parametrize("stuck", [False, True], ids=["all leave", "a session is stuck"])
async def test_at_a_hand_over_nothing_is_delivered_after_the_lock_is_released(tmp_path: Path, stuck: bool) -> None:
    state = tmp_path / "state"
    state.mkdir()
    at_release: list[tuple[int, int]] = []
    async with open_backend() as backend:
        async with running(tmp_path, backend, state_dir=state, exit_timeout=0.1, courtesy_timeout=0.1) as server:
            async with people(server, "ada@lobby") as (ada,):
                await backend.until(lambda: backend.present() == {"lobby": ["ada"]})
                if stuck:
                    server.gateway.seats["stuck"] = next(iter(server.gateway.seats.values()))
                await server.hand_over(lambda: at_release.append((len(backend.ids), server.gateway.journal.number)))
                server.gateway.seats.clear()
                with pytest.raises(ConnectionClosed):
                    await ada.ping()
            server.gateway.journal.append("late", "channel_opened", (server.gateway.journal.epoch + 1, 0))
        [(told, number)] = at_release
        assert len(backend.ids) == told
        if not stuck:
            assert backend.history["lobby"][-1]["type"] == "user_left"
            with closing(sqlite3.connect(state / FILE_NAME)) as database:
                [(saved,)] = database.execute("SELECT number FROM progress").fetchall()
            assert saved >= number - 1  # the last entry is that the channel closed, which no webhook tells
