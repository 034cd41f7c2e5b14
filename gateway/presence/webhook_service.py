"""Sends the webhooks of one gateway over HTTP, and remembers on disk how much each receiver has got."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
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
from gateway.presence.webhooks import AT_ONCE, NOTHING, SAVE_INTERVAL, Lists, Message, Problem, Receiver

log = structlog.get_logger(__name__)

_MOST_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read, so that its connection can be used again."""
SAVE_SECONDS: Final = 1.0
"""Seconds that the last note may take."""
_HEADERS: Final = {"content-type": "application/json", "user-agent": "trio-sfu"}
_OF_ALL: Final = frozenset({401, 403, 408, 425, 429})
"""Refusals below 500 that concern the gateway, and not what one message says."""
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

    async def __call__(self, message: Message) -> Problem | None:
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
                    if response.is_success:
                        return None
                    status = response.status_code
                    return Problem(f"HTTP {status}", is_of_message=status < 500 and status not in _OF_ALL)
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
                return Problem(str(error) or type(error).__name__)
        return Problem(f"no answer within {self.timeout:g} s")


@define(eq=False)
class Webhooks:
    """The receivers by URL. Made by :func:`open_webhooks`."""

    receivers: Mapping[str, Receiver]
    journal: Journal
    feed: Feed
    durable: Durable | None
    _saved: dict[str, int] = field(factory=dict)
    _running: trio.CancelScope = field(factory=trio.CancelScope)

    async def run(self) -> None:
        """Deliver until :meth:`finish`."""
        with self._running:
            async with trio.open_nursery() as nursery:
                for receiver in self.receivers.values():
                    nursery.start_soon(_run_guarded, receiver, name=f"webhooks to {receiver.name}")
                while True:
                    await trio.sleep(SAVE_INTERVAL)
                    await self.save()

    async def finish(self, seconds: float) -> None:
        """Give what waits so many seconds to reach the receivers, note how far they got, and deliver nothing more. The
        second call does nothing."""
        if self._running.cancel_called:
            return
        with trio.move_on_after(seconds):
            # Nothing waits for a receiver yet of what is not on the disk, or what the feed has not told.
            await self.journal.wait_committed(self.journal.number)
            await self.feed.wait_told()
            async with trio.open_nursery() as nursery:
                for receiver in self.receivers.values():
                    nursery.start_soon(receiver.wait_empty)
        self._running.cancel()
        with trio.move_on_after(SAVE_SECONDS):  # the disk may hang
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
                verify=verify,
                timeout=timeout,
                trust_env=False,
                limits=httpx2.Limits(max_connections=AT_ONCE),
                # Whatever a receiver sets, it would grow without end.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
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
        yield Webhooks(receivers, journal, feed, durable)


def _key(url: str) -> str:
    """What stands for a URL on disk. The URL itself may hold a password."""
    return sha256(url.encode()).hexdigest()
