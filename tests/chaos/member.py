"""The program of a client process: it joins the channel, and rejoins after every loss."""

import random

import trio

from protocol import Joined
from protocol.client import (
    AnswerLost,
    Client,
    ConnectError,
    ConnectionClosed,
    RequestError,
    StateLost,
    Timeouts,
    connect,
)
from protocol.errors import NextStep
from protocol.events import ConsumerClosed, TransportStateChanged, VoiceState
from tests.chaos.media import Media
from tests.chaos.reports import Reporter
from tests.chaos.tracked_list import TrackedList, Violation
from tools.harness.client import secret_of
from tools.light import Identity

CHANNEL = "chaos"
TIMEOUTS = Timeouts(connect=1, request=5, goodbye=0.5, ping_interval=1, pong=2)
"""Short timeouts.  With the usual ones, a client would spend most of a minute waiting."""
BETWEEN_MOVES = (1.0, 6.0)
"""Seconds from one change of the socket to the next."""


class MediaLost(Exception):
    """A transport has ended, so the member starts a new session."""


class Member:
    """One user, in one process."""

    def __init__(self, user: str, url: str, identity: Identity, reporter: Reporter) -> None:
        self.user = user
        self.secret = secret_of(user)
        self.url = url
        self.identity = identity
        self.reporter = reporter
        self.rng = random.Random(f"{user} {reporter.process}")
        self.newest = -1
        self.tracked: TrackedList | None = None
        self.media: Media | None = None
        self.changed = trio.Event()
        self.stopped = False

    async def stay(self) -> None:
        """Join, and join again as long as the close code says so."""
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
            except* (AnswerLost, ConnectError, MediaLost, trio.TooSlowError) as errors:
                self.away(_innermost(errors))
            # A random wait, so that clients that were cut off do not all come back at the same moment.
            await trio.sleep(self.rng.uniform(0.1, 0.4))

    async def visit(self) -> None:
        """One session, until it ends."""
        async with connect(self.url, timeouts=TIMEOUTS) as signalling:
            joined = await signalling.join(CHANNEL, self.user.upper(), user_id=self.user, session_secret=self.secret)
            try:
                self.tracked = TrackedList.of(joined, newer_than=self.newest)
                async with trio.open_nursery() as nursery:
                    self.media = Media(signalling, joined, self.identity, self.rng, nursery)
                    nursery.start_soon(self.follow, signalling, self.tracked, self.media)
                    nursery.start_soon(self.talk, joined, self.tracked, self.media)
                    nursery.start_soon(self.move, signalling)
            finally:
                self.tracked = self.media = None

    async def follow(self, signalling: Client, tracked: TrackedList, media: Media) -> None:
        """Apply the gateway's events."""
        self.show(tracked, media)
        async for event in signalling.events():
            match event:
                case VoiceState():
                    tracked.apply(event)
                    self.show(tracked, media)
                case ConsumerClosed():
                    media.lose(event.consumer_id)
                    self.show(tracked, media)
                case StateLost():
                    raise MediaLost("the gateway had to drop events")
                case TransportStateChanged(state="failed" | "closed"):
                    raise MediaLost(f"a transport is {event.state}")

    async def talk(self, joined: Joined, tracked: TrackedList, media: Media) -> None:
        """Send a stream, and receive the streams of some of the other members."""
        try:
            await media.open(ssrc=self.rng.randrange(1, 2**32))
        except RequestError as error:
            raise MediaLost(str(error)) from error
        self.show(tracked, media)
        while True:
            self.changed = trio.Event()
            if await media.listen(tracked.listed):
                self.show(tracked, media)
            else:
                await self.changed.wait()

    async def move(self, signalling: Client) -> None:
        """Change the socket of the session at random moments."""
        while True:
            await trio.sleep(self.rng.uniform(*BETWEEN_MOVES))
            signalling.reconnect()

    def show(self, tracked: TrackedList, media: Media) -> None:
        self.newest = tracked.revision
        self.changed.set()
        self.reporter.report(
            revision=tracked.revision,
            users=tuple(tracked.users),
            transports=len(media.transports),
            producers=len(media.producers),
            consumers=len(media.heard),
        )

    def away(self, why: BaseException) -> None:
        self.reporter.report(reason=f"away: {why!r}")

    def stop(self, why: str) -> None:
        """Stop for good, because of something that must not happen in these tests."""
        self.stopped = True
        self.reporter.report(reason=why, is_fault=True)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
