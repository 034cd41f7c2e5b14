"""Those who watch a channel over real sockets."""

from contextlib import AsyncExitStack

import pytest
import trio

from gateway.config import Config
from gateway.connection.outbox import Outbox
from gateway.server import open_server
from protocol.client import connect
from protocol.events import VoiceState
from protocol.watching import Watch

WATCHERS = 100


async def test_many_watchers_are_told_without_waking_a_task_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    begin_batch = Outbox._begin_batch

    def note(outbox: Outbox) -> bytes:
        batches.append(outbox)
        return begin_batch(outbox)

    monkeypatch.setattr(Outbox, "_begin_batch", note)
    async with open_server(Config(port=0, media_port=0, planes=1)) as server, AsyncExitStack() as clients:
        url = server.url.replace("http", "ws", 1) + "/ws"
        watchers = [await clients.enter_async_context(connect(url)) for _ in range(WATCHERS)]
        for watcher in watchers:
            await watcher.request(Watch(channel_ids=("lobby",)))
        ada = await clients.enter_async_context(connect(url))
        batches.clear()
        joined = await ada.join("lobby", "ada", user_id="ada")
        with trio.fail_after(10):
            for watcher in watchers:
                event = await anext(watcher.events())
                assert isinstance(event, VoiceState)
                assert event.revision == joined.revision
        assert len(batches) < WATCHERS / 4
