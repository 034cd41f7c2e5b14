"""What a client process does: be in the channel, and come back after whatever happened to it."""

import random

import trio

from protocol import Joined
from protocol.client import Client, ConnectError, ConnectionClosed, RequestError, Timeouts, connect
from protocol.errors import NextStep
from protocol.events import ConsumerClosed, TransportStateChanged, VoiceState
from tests.chaos.ledger import Ledger, Violation
from tests.chaos.media import Media
from tests.chaos.reports import Reporter
from tools.light import Identity

CHANNEL = "chaos"
TIMEOUTS = Timeouts(connect=1, request=5, goodbye=0.5, ping_interval=1, pong=2)
"""A client that waits as long as people's do would spend most of a run of one minute waiting."""


class MediaLost(Exception):
    """A transport has ended; the session is begun anew."""


class Member:
    """One user, in one process."""

    def __init__(self, user: str, url: str, identity: Identity, reporter: Reporter) -> None:
        self.user = user
        self.url = url
        self.identity = identity
        self.reporter = reporter
        self.rng = random.Random(f"{user} {reporter.process}")
        self.newest = -1
        self.ledger: Ledger | None = None
        self.media: Media | None = None
        self.changed = trio.Event()
        self.stopped = False

    async def stay(self) -> None:
        """Join, and join again for as long as the table of close codes says so."""
        while not self.stopped:
            try:
                await self.visit()
            except* Violation as errors:
                self.stop(str(_innermost(errors)))
            except* ConnectionClosed as errors:
                closed = _innermost(errors)
                assert isinstance(closed, ConnectionClosed)
                self.away(closed)
                if closed.next_step is NextStep.STOP:
                    self.stop(f"closed with {closed.code}, {closed.reason or 'without a reason'}")
            except* (ConnectError, MediaLost, trio.TooSlowError) as errors:
                self.away(_innermost(errors))
            await trio.sleep(self.rng.uniform(0.1, 0.4))  # or all who were cut off would come back in one moment

    async def visit(self) -> None:
        """One session, as long as it lasts."""
        async with connect(self.url, timeouts=TIMEOUTS) as signalling:
            joined = await signalling.join(CHANNEL, self.user.upper(), user_id=self.user)
            try:
                self.ledger = Ledger.of(joined, newer_than=self.newest)
                async with trio.open_nursery() as nursery:
                    self.media = Media(signalling, joined, self.identity, self.rng, nursery)
                    nursery.start_soon(self.follow, signalling, self.ledger, self.media)
                    nursery.start_soon(self.talk, joined, self.ledger, self.media)
            finally:
                self.ledger = self.media = None

    async def follow(self, signalling: Client, ledger: Ledger, media: Media) -> None:
        """Take in what the gateway tells."""
        self.show(ledger, media)
        async for event in signalling.events():
            match event:
                case VoiceState():
                    ledger.apply(event)
                    self.show(ledger, media)
                case ConsumerClosed():
                    media.lose(event.consumer_id)
                    self.show(ledger, media)
                case TransportStateChanged(state="failed" | "closed"):
                    raise MediaLost(f"a transport is {event.state}")

    async def talk(self, joined: Joined, ledger: Ledger, media: Media) -> None:
        """Send a stream, and listen to some of the others, whoever they are just now."""
        try:
            await media.open(ssrc=self.rng.randrange(1, 2**32))
        except RequestError as error:
            raise MediaLost(str(error)) from error
        self.show(ledger, media)
        while True:
            self.changed = trio.Event()
            if await media.listen(ledger.listed):
                self.show(ledger, media)
            else:
                await self.changed.wait()

    def show(self, ledger: Ledger, media: Media) -> None:
        self.newest = ledger.revision
        self.changed.set()
        self.reporter.tell(
            revision=ledger.revision,
            users=tuple(ledger.users),
            transports=len(media.transports),
            producers=len(media.producers),
            consumers=len(media.heard),
        )

    def away(self, why: BaseException) -> None:
        self.reporter.tell(word=f"away: {why!r}")

    def stop(self, why: str) -> None:
        """Something that must not happen in these tests."""
        self.stopped = True
        self.reporter.tell(word=why, is_fault=True)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
