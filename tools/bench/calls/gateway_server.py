"""Our gateway as a contestant, with the page that it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Final

from tools.bench.calls.server import CallPage, CallServer, Contestant
from tools.bench.calls.wire import Namespace
from tools.servers import ARGUMENTS, running_gateway

CHANNEL: Final = "bench"
#: Press Join as soon as the page shows it, and wait until it has worked.
_JOIN: Final = """(async () => {
  const wait = () => new Promise((done) => setTimeout(done, 50));
  let button;
  while (!(button = document.querySelector("[data-testid=join]"))) await wait();
  button.click();
  while (window.__room?.state().phase !== "joined") await wait();
})()"""


def open_gateway(namespace: Namespace) -> AbstractAsyncContextManager[CallServer]:
    return _open(namespace, namespace.ipv4)


def _open_ipv6(namespace: Namespace) -> AbstractAsyncContextManager[CallServer]:
    return _open(namespace, namespace.ipv6)


@asynccontextmanager
async def _open(namespace: Namespace, address: str) -> AsyncIterator[CallServer]:
    hosts = ("--host", address, "--open", "--media-host", address, "--drain-timeout", "0")
    async with running_gateway(("gateway", *ARGUMENTS, *hosts), prefix=namespace.prefix) as gateway:
        channel = f"{gateway.url}/c/{CHANNEL}"
        yield CallServer(
            gateway.url,
            CallPage(f"{channel}?name=Ada", _JOIN),
            CallPage(f"{channel}?name=Ben&mic=0&camera=0", _JOIN),
            gateway.log,
        )


def find() -> Contestant:
    return Contestant("gateway", "trio-sfu", version("trio-sfu"), open_gateway, _open_ipv6)
