"""Sends the webhooks of one gateway over HTTP, and remembers on disk how much each receiver has got."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from typing import Final, Never
from urllib.parse import urlsplit

import httpx2
import structlog
import trio
from attrs import define, field, frozen

from gateway.presence.durable import Durable
from gateway.presence.feed import Feed
from gateway.presence.journal import Journal
from gateway.presence.signatures import Signer
from gateway.presence.webhooks import AT_ONCE, NOTHING, SAVE_INTERVAL, Lists, Message, Receiver

log = structlog.get_logger(__name__)

_MOST_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read, so that its connection can be used again."""
_HEADERS: Final = {"content-type": "application/json", "user-agent": "trio-sfu"}
_REST: Final = 5.0
"""Seconds until a receiver is served again after a fault of ours."""


@frozen
class HttpPost:
    """Sends messages to one URL. ``timeout`` is in seconds, for one request and its answer."""

    client: httpx2.AsyncClient
    url: str = field(repr=False)  # may hold a password
    signer: Signer
    journal: Journal
    timeout: float

    async def __call__(self, message: Message) -> str | None:
        """Send a message. Return what went wrong, or None if the receiver took it (2xx)."""
        headers = {**_HEADERS, **self.signer.headers(message.id, int(self.journal.clock()), message.body)}
        with trio.move_on_after(self.timeout):
            try:
                async with self.client.stream("POST", self.url, content=message.body, headers=headers) as response:
                    size = 0
                    async for piece in response.aiter_raw():
                        size += len(piece)
                        if size > _MOST_ANSWER:
                            break
                    return None if response.is_success else f"HTTP {response.status_code}"
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                return str(error) or type(error).__name__
        return f"no answer within {self.timeout:g} s"


@define(eq=False)
class Webhooks:
    """The receivers by URL. Made by :func:`open_webhooks`."""

    receivers: Mapping[str, Receiver]
    durable: Durable | None
    _saved: dict[str, int] = field(factory=dict)

    async def run(self) -> Never:
        """Deliver until cancelled."""
        async with trio.open_nursery() as nursery:
            for receiver in self.receivers.values():
                nursery.start_soon(_run_guarded, receiver, name=f"webhooks to {receiver.name}")
            while True:
                await trio.sleep(SAVE_INTERVAL)
                await self.save()

    async def finish(self, seconds: float) -> None:
        """Give what waits so many seconds to reach the receivers, and note how far they got."""
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for receiver in self.receivers.values():
                    nursery.start_soon(receiver.wait_empty)
        await self.save()

    async def save(self) -> None:
        """Note on disk how much each receiver has got. Without a journal on disk, do nothing."""
        now = {_key(url): receiver.delivered for url, receiver in self.receivers.items()}
        if self.durable is not None and now != self._saved and await self.durable.save_progress(now):
            self._saved = now


async def _run_guarded(receiver: Receiver) -> Never:
    while True:
        try:
            await receiver.run()
        except Exception:
            # Programs outside must not end the calls of this gateway, not even with a fault of ours.
            log.exception("webhooks failed; everything is told anew", receiver=receiver.name)
            await trio.sleep(_REST)
            receiver.start_over()


@asynccontextmanager
async def open_webhooks(
    urls: tuple[str, ...],
    signer: Signer,
    *,
    timeout: float,  # noqa: ASYNC109: a setting of each request
    backlog: int,
    journal: Journal,
    feed: Feed,
    lists: Lists,
    durable: Durable | None,
) -> AsyncIterator[Webhooks]:
    """Follow the feed for these URLs. :meth:`Webhooks.run` delivers while the block runs."""
    verify = ssl.create_default_context()
    receivers: dict[str, Receiver] = {}
    async with AsyncExitStack() as stack:
        for number, url in enumerate(urls, 1):
            # Without the environment: a proxy or a password there is meant for other programs.
            client = httpx2.AsyncClient(
                verify=verify, timeout=timeout, trust_env=False, limits=httpx2.Limits(max_connections=AT_ONCE)
            )
            await stack.enter_async_context(client)
            post = HttpPost(client, url, signer, journal, timeout)
            receiver = receivers[url] = Receiver(f"{number} ({urlsplit(url).hostname})", post, journal, lists, backlog)
            missed = None
            if durable is not None:
                # Nobody is in a channel yet, so nothing comes meanwhile.
                missed = await durable.changes_after(durable.progress.get(_key(url), NOTHING), backlog)
            receiver.begin(feed, missed)
            stack.callback(feed.close, receiver.subscription)
        yield Webhooks(receivers, durable)


def _key(url: str) -> str:
    """What stands for a URL on disk. The URL itself may hold a password."""
    return sha256(url.encode()).hexdigest()
