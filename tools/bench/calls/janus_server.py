"""Janus' VideoRoom as a contestant, with a plain page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tools.bench.calls.server import CallServer, Contestant, file_page
from tools.bench.calls.wire import Namespace
from tools.bench.janus import process as janus

_PAGE: Final = Path(__file__).with_name("janus.html")
_FEED: Final = 7


@asynccontextmanager
async def open_janus(namespace: Namespace) -> AsyncIterator[CallServer]:
    options = json.dumps({"room": janus.ROOM, "feed": _FEED})
    address = f"{namespace.ipv4}:{janus.WEBSOCKET_PORT}"
    async with janus.running_janus(namespace.ipv4, namespace.prefix):
        sender, receiver = (
            file_page(_PAGE, f'joinAs("{role}", "ws://{address}", {options})') for role in ("sender", "receiver")
        )
        yield CallServer(f"http://{address}", sender, receiver)


def find() -> Contestant:
    """Raises :exc:`tools.bench.janus.process.NoJanus`."""
    return Contestant("janus", "Janus", janus.version(), open_janus)
