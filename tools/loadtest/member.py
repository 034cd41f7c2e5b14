"""One light client's life in a load test: it joins, sends, receives what there is, leaves when told, comes back."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVarTuple

import trio
from attrs import define, field

from protocol.client import RequestError
from protocol.errors import ErrorCode
from protocol.events import ConsumerClosed, TransportStateChanged, VoiceState
from protocol.vocabulary import MediaKind, Participant
from tools.light import Identity, LightClient, Poller, SharedDecoder, open_light_client
from tools.light.media_loop import MediaLoop
from tools.light.publication import Publication
from tools.loadtest.failures import FAILURES, ClientFailed, one_failure
from tools.loadtest.messages import Asked, Ended, Joined, Leaving, Quiet, Told
from tools.loadtest.plan import ChurnKind, Plan, Slot
from tools.loadtest.roster import Roster
from tools.loadtest.tally import Tally, Visit

Ts = TypeVarTuple("Ts")

#: Seconds between leaving and asking to be let in again: at least, and at most.
PAUSE: Final = (0.3, 1.0)
#: A stream whose first packet has not come after so many seconds is silent.
SILENCE: Final = 5.0
#: The same at the end of the run, where nobody waits for longer: two key frames that were asked for.
KEY_FRAME_WAIT: Final = 2.5


@define(eq=False)
class Surroundings:
    """What the members of a worker share.  ``sending`` is False once nobody is to send any more."""

    plan: Plan
    media: dict[MediaKind, MediaLoop]
    identity: Identity
    poller: Poller
    tally: Tally
    rng: random.Random
    decode: SharedDecoder = field(factory=SharedDecoder)
    finish: trio.Event = field(factory=trio.Event)
    sending: bool = True

    @property
    def finishing(self) -> bool:
        """Whether everybody is to leave, and nobody to come."""
        return self.finish.is_set()

    async def sleep(self, seconds: float) -> None:
        """Less when it is time to finish."""
        with trio.move_on_after(max(0.0, seconds)):
            await self.finish.wait()


@define(eq=False)
class Member:
    """The client at one slot."""

    slot: Slot
    around: Surroundings
    _visits: int = 0
    _go: ChurnKind | None = None
    _going: trio.Event = field(factory=trio.Event)
    _visit: Visit | None = None
    _roster: Roster | None = None
    _senders: trio.CancelScope = field(factory=trio.CancelScope)

    async def live(self, start_at: float) -> None:
        """From ``start_at`` (of the monotonic clock) until the end of the test, or until something goes wrong."""
        await self.around.sleep(start_at - time.monotonic())
        try:
            while not self.around.finishing:
                await self._stay()
                await self.around.sleep(self.around.rng.uniform(*PAUSE))
        except ClientFailed as failed:
            self.around.tally.failed += 1
            self.around.tally.fail(str(failed))

    def leave(self, kind: ChurnKind) -> None:
        """Leave like this.  Nothing happens where it is not there, or is leaving."""
        if self._visit is not None and not self._visit.leaving:
            self._go = kind
            self._going.set()

    def stop_sending(self) -> dict[int, int]:
        """What it has sent in all, by SSRC."""
        self._senders.cancel()
        publications = self._visit.publications.values() if self._visit is not None else ()
        return {publication.ssrc: publication.packets for publication in publications}

    def settle(self, sent: dict[int, int]) -> None:
        """Look for what is missing at the end of each stream; say what the list is."""
        visit, roster = self._visit, self._roster
        if visit is None or roster is None or visit.client is None:
            return
        for consumer_id, meter in visit.client.streams.items():
            if meter.first_at is None:
                if visit.taken_at.get(consumer_id, math.inf) < time.monotonic() - KEY_FRAME_WAIT:
                    self.around.tally.is_silent(visit, consumer_id)
            elif meter.source is not None and meter.source in sent:
                meter.expect_until(sent[meter.source])
        self.around.tally.facts.append(
            Quiet(
                time.monotonic(),
                visit.channel_id,
                visit.user_id,
                visit.number,
                roster.revision,
                tuple(sorted(roster.users)),
            )
        )

    async def _stay(self) -> None:
        slot, tally = self.slot, self.around.tally
        self._visits += 1
        visit = Visit(slot.user_id, slot.channel_id, self._visits)
        self._go, self._going, self._senders = None, trio.Event(), trio.CancelScope()
        planned = False
        tally.facts.append(Asked(time.monotonic(), visit.channel_id, visit.user_id, visit.number))
        try:
            async with one_failure():
                await self._be_there(visit)
                planned = True
        finally:
            if visit.client is not None:
                tally.leaves += planned
                tally.end(visit)
            self._visit = self._roster = None
            tally.facts.append(Ended(time.monotonic(), visit.channel_id, visit.user_id, visit.number, planned))

    async def _be_there(self, visit: Visit) -> None:
        around = self.around
        asked_at = time.monotonic()
        async with open_light_client(
            around.plan.url,
            visit.channel_id,
            visit.user_id,
            around.identity,
            rng=around.rng,
            user_id=visit.user_id,
            token=around.plan.token,
            poller=around.poller,
            packet_meter=visit.packet_meter,
            on_rtcp=visit.receive_rtcp_untrusted,
            decode=around.decode,
        ) as client:
            self._joined(visit, client, asked_at)
            if around.finishing:
                self.leave("leave")
            async with trio.open_nursery() as tasks:
                tasks.start_soon(_unless_leaving, visit, self._follow, visit, client, tasks)
                if self.slot.publishes and around.sending:
                    tasks.start_soon(_unless_leaving, visit, self._publish, visit, client)
                for participant in client.joined.participants:
                    self._take(visit, client, participant, tasks)
                await self._going.wait()
                await self._leave(visit, client)
                tasks.cancel_scope.cancel()

    def _joined(self, visit: Visit, client: LightClient, asked_at: float) -> None:
        tally, joined = self.around.tally, client.joined
        visit.client, visit.joined_at = client, time.monotonic()
        visit.listed_at_join = frozenset(
            producer.producer_id for participant in joined.participants for producer in participant.producers
        )
        self._visit, self._roster = visit, Roster(joined.participants, joined.revision)
        tally.visits[visit.user_id] = visit
        tally.joins += 1
        tally.join.record(visit.joined_at - asked_at)
        listed = tuple(participant.user_id for participant in joined.participants)
        tally.facts.append(
            Joined(visit.joined_at, visit.channel_id, visit.user_id, visit.number, joined.revision, listed)
        )

    async def _leave(self, visit: Visit, client: LightClient) -> None:
        kind = self._go
        assert kind is not None
        visit.leaving = True
        self._senders.cancel()
        self.around.tally.facts.append(Leaving(time.monotonic(), visit.channel_id, visit.user_id, visit.number, kind))
        if kind == "leave":
            await client.signalling.leave()
        # What has arrived is counted: after `leave` is answered that is all, with the gateway's goodbye.
        for endpoint in client.endpoints.values():
            endpoint.read()
        if kind == "kill":
            await client.kill()

    async def _follow(self, visit: Visit, client: LightClient, tasks: trio.Nursery) -> None:
        roster, facts = self._roster, self.around.tally.facts
        assert roster is not None
        async for event in client.signalling.events():
            match event:
                case VoiceState():
                    facts.append(_told(visit, event, time.monotonic(), agrees=roster.apply(event)))
                    if event.type != "user_left":
                        self._take(visit, client, event.participant, tasks)
                    else:
                        visit.wanted.difference_update(each.producer_id for each in event.participant.producers)
                case ConsumerClosed(consumer_id=consumer_id):
                    client.forget(consumer_id)
                    visit.taken_at.pop(consumer_id, None)
                case TransportStateChanged(state="failed"):
                    self.around.tally.fail("a transport failed")

    # Media.

    def _take(self, visit: Visit, client: LightClient, participant: Participant, tasks: trio.Nursery) -> None:
        """Take what somebody sends, each stream once."""
        if not self.slot.subscribes or participant.user_id == visit.user_id or visit.leaving:
            return
        for producer in participant.producers:
            if producer.producer_id not in visit.wanted:
                visit.wanted.add(producer.producer_id)
                tasks.start_soon(_unless_leaving, visit, self._subscribe, visit, client, producer.producer_id)

    async def _subscribe(self, visit: Visit, client: LightClient, producer_id: str) -> None:
        try:
            consumer_id = await client.subscribe(producer_id)
        except RequestError as error:
            if error.code != ErrorCode.NOT_FOUND:  # it has gone since
                raise
            return
        meter = client.streams[consumer_id]
        visit.taken_at[consumer_id] = time.monotonic()
        with trio.move_on_after(SILENCE):
            await meter.begun.wait()
        if meter.first_at is None:
            if consumer_id in client.streams and self.around.sending and not visit.leaving:
                self.around.tally.is_silent(visit, consumer_id)
        elif producer_id in visit.listed_at_join and not visit.had_media:
            visit.had_media = True
            self.around.tally.first_media.record(max(0.0, meter.first_at - visit.joined_at))

    async def _publish(self, visit: Visit, client: LightClient) -> None:
        around = self.around
        endpoint = await client.transport("send")
        with self._senders:
            async with trio.open_nursery() as senders:
                for kind in around.plan.kinds:
                    publication = Publication(
                        around.media[kind], endpoint, around.rng.randrange(1, 1 << 32), around.rng
                    )
                    # before the gateway may ask for a key frame of it
                    visit.publications[publication.ssrc] = publication
                    await client.publish(kind, publication.ssrc)
                    senders.start_soon(publication.run)
                await trio.sleep_forever()


def _told(visit: Visit, event: VoiceState, at: float, *, agrees: bool) -> Told:
    return Told(
        at,
        visit.channel_id,
        visit.user_id,
        visit.number,
        event.revision,
        event.type,
        event.user_id,
        event.reason,
        agrees,
    )


async def _unless_leaving(visit: Visit, do: Callable[[*Ts], Awaitable[None]], *args: *Ts) -> None:
    """What somebody who leaves had begun may fail."""
    try:
        await do(*args)
    except FAILURES:
        if not visit.leaving:
            raise
