"""One light client in a load test: it joins, sends, receives all streams, leaves on command, and comes back."""

from __future__ import annotations

import math
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVarTuple

import trio
from attrs import define, field

from protocol.client import ConnectionClosed, RequestError, Timeouts, new_session_secret
from protocol.errors import ErrorCode
from protocol.events import ConsumerClosed, ProducerLayers, TransportStateChanged, VoiceState
from protocol.requests import SetLayers
from protocol.vocabulary import Participant, Position
from tools.light import (
    Identity,
    Layer,
    LightClient,
    LightEndpoint,
    NetworkLoss,
    Poller,
    SharedDecoder,
    open_light_client,
)
from tools.light.loop_sender import LoopSender
from tools.light.media_loop import MediaLoop
from tools.loadtest.failures import FAILURES, ClientFailed, one_failure
from tools.loadtest.messages import ChangeFact, EndedFact, FinalListFact, JoinedFact, JoiningFact, LeavingFact, Media
from tools.loadtest.plan import LeaveKind, Plan, Slot
from tools.loadtest.roster import Roster
from tools.loadtest.tally import LiveVisit, Tally

Ts = TypeVarTuple("Ts")

#: Least and greatest pause between leaving and joining again, in seconds.
PAUSE: Final = (0.3, 1.0)
#: Seconds without a first packet after which a stream counts as silent.
SILENCE: Final = 5.0
#: The same for streams at the end of the run.  By then the gateway has asked for two key frames.
KEY_FRAME_WAIT: Final = 2.5
#: Seconds for which a client that moves tries to resume its session.
RESUME: Final = 5.0
#: A number above all layers, which means the best one.
BEST_LAYER: Final = 255


@define(eq=False)
class SharedState:
    """State that the members of a worker share.  ``sending`` turns False when all members must stop sending."""

    plan: Plan
    media: Media
    identity: Identity
    poller: Poller
    tally: Tally
    rng: random.Random
    decode: SharedDecoder = field(factory=SharedDecoder)
    finish: trio.Event = field(factory=trio.Event)
    sending: bool = True
    ssl_context: ssl.SSLContext | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.ssl_context = self.plan.ssl_context()

    @property
    def finishing(self) -> bool:
        """Whether all members must leave and none may join."""
        return self.finish.is_set()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but only until all members must leave."""
        with trio.move_on_after(max(0.0, seconds)):
            await self.finish.wait()


@define(eq=False)
class LoadMember:
    """The client of one slot."""

    slot: Slot
    shared: SharedState
    # A killed client may come back before the gateway has noticed its end.
    _secret: str = field(factory=new_session_secret, repr=False)
    _visits: int = 0
    _go: LeaveKind | None = None
    _going: trio.Event = field(factory=trio.Event)
    _visit: LiveVisit | None = None
    _tasks: trio.Nursery | None = None
    _moving: trio.Lock = field(factory=trio.Lock)
    _roster: Roster | None = None
    _sending: trio.CancelScope = field(factory=trio.CancelScope)

    async def live(self, start_at: float) -> None:
        """Live from ``start_at``, a time of the monotonic clock, until the end of the test or the first failure."""
        await self.shared.sleep(start_at - time.monotonic())
        try:
            while not self.shared.finishing:
                await self._stay()
                await self.shared.sleep(self.shared.rng.uniform(*PAUSE))
        except ClientFailed as failed:
            self.shared.tally.failed += 1
            self.shared.tally.fail(str(failed))

    def leave(self, kind: LeaveKind) -> None:
        """Leave in this way.  Do nothing if the member is in no channel or is leaving already."""
        if self._visit is not None and not self._visit.leaving:
            self._go = kind
            self._going.set()

    def move(self) -> None:
        """Change the network.  Do nothing if the member is in no channel, or is leaving or moving already."""
        visit, tasks = self._visit, self._tasks
        if visit is not None and tasks is not None and not visit.leaving and not self._moving.locked():
            tasks.start_soon(_unless_leaving, visit, self._move, visit)

    def stop_sending(self) -> dict[int, int]:
        """Stop sending.  Return the numbers of sent packets by SSRC."""
        self._sending.cancel()
        senders = self._visit.senders.values() if self._visit is not None else ()
        return {sender.ssrc: sender.packets for sender in senders}

    def settle(self, sent: dict[int, int]) -> None:
        """Count the packets missing at the end of each stream, and report the list that the member has."""
        visit, roster = self._visit, self._roster
        if visit is None or roster is None or visit.client is None:
            return
        for consumer_id, meter in visit.client.streams.items():
            if meter.first_at is None:
                if visit.taken_at.get(consumer_id, math.inf) < time.monotonic() - KEY_FRAME_WAIT:
                    self.shared.tally.count_silent(visit, consumer_id)
            elif meter.source is not None and meter.source in sent:
                meter.expect_until(sent[meter.source])
        self.shared.tally.facts.append(
            FinalListFact(
                time.monotonic(),
                visit.channel_id,
                visit.user_id,
                visit.number,
                tuple(sorted(roster.users)),
            )
        )

    async def _stay(self) -> None:
        slot, tally = self.slot, self.shared.tally
        self._visits += 1
        visit = LiveVisit(slot.user_id, slot.channel_id, self._visits)
        self._go, self._going, self._sending = None, trio.Event(), trio.CancelScope()
        planned = False
        tally.facts.append(JoiningFact(time.monotonic(), visit.channel_id, visit.user_id, visit.number))
        try:
            async with one_failure():
                await self._be_there(visit)
                planned = True
        finally:
            if visit.client is not None:
                tally.leaves += planned
                tally.end(visit)
            self._visit = self._roster = self._tasks = None
            tally.facts.append(EndedFact(time.monotonic(), visit.channel_id, visit.user_id, visit.number, planned))

    async def _be_there(self, visit: LiveVisit) -> None:
        shared = self.shared
        asked_at = time.monotonic()
        async with open_light_client(
            shared.plan.url,
            visit.channel_id,
            visit.user_id,
            shared.identity,
            rng=shared.rng,
            user_id=visit.user_id,
            token=shared.plan.token,
            session_secret=self._secret,
            poller=shared.poller,
            packet_meter=visit.packet_meter,
            on_rtcp=visit.receive_rtcp_untrusted,
            loss=_loss(shared.plan, visit),
            feedback=shared.plan.feedback,
            timeouts=Timeouts(resume=RESUME if shared.plan.moves else 0),
            decode=shared.decode,
            ssl_context=shared.ssl_context,
        ) as client:
            self._joined(visit, client, asked_at)
            if shared.finishing:
                self.leave("leave")
            async with trio.open_nursery() as tasks:
                self._tasks = tasks
                tasks.start_soon(_unless_leaving, visit, self._follow, visit, client, tasks)
                if self.slot.publishes and shared.sending:
                    tasks.start_soon(_unless_leaving, visit, self._publish, visit, client)
                for participant in client.joined.participants:
                    self._subscribe_to_all(visit, client, participant, tasks)
                await self._going.wait()
                async with self._moving:  # a goodbye needs a WebSocket that serves the session
                    pass
                await self._leave(visit, client)
                tasks.cancel_scope.cancel()

    def _joined(self, visit: LiveVisit, client: LightClient, asked_at: float) -> None:
        tally, joined = self.shared.tally, client.joined
        visit.client, visit.joined_at = client, time.monotonic()
        visit.listed_at_join = frozenset(
            producer.producer_id for participant in joined.participants for producer in participant.producers
        )
        position = Position(joined.epoch, joined.revision)
        self._visit, self._roster = visit, Roster(joined.participants, position)
        tally.visits[visit.user_id] = visit
        tally.joins += 1
        tally.join.record(visit.joined_at - asked_at)
        listed = tuple(participant.user_id for participant in joined.participants)
        tally.facts.append(JoinedFact(visit.joined_at, visit.channel_id, visit.user_id, visit.number, position, listed))

    async def _leave(self, visit: LiveVisit, client: LightClient) -> None:
        kind = self._go
        assert kind is not None
        visit.leaving = True
        self._sending.cancel()
        self.shared.tally.facts.append(
            LeavingFact(time.monotonic(), visit.channel_id, visit.user_id, visit.number, kind)
        )
        if kind == "leave":
            await client.signalling.leave()
        # Count the datagrams that have arrived.  The gateway sends none after its answer to `leave`, so after `leave`
        # the count is complete and includes the gateway's goodbye.
        for endpoint in client.endpoints.values():
            endpoint.read()
        if kind == "kill":
            await client.kill()

    async def _follow(self, visit: LiveVisit, client: LightClient, tasks: trio.Nursery) -> None:
        roster, facts = self._roster, self.shared.tally.facts
        assert roster is not None
        async for event in client.signalling.events():
            match event:
                case VoiceState():
                    facts.append(_change_fact(visit, event, time.monotonic(), agrees=roster.apply(event)))
                    if event.type != "user_left":
                        self._subscribe_to_all(visit, client, event.participant, tasks)
                    else:
                        visit.wanted.difference_update(each.producer_id for each in event.participant.producers)
                case ConsumerClosed(consumer_id=consumer_id):
                    client.forget(consumer_id)
                    visit.taken_at.pop(consumer_id, None)
                case ProducerLayers(producer_id=producer_id, active=active):
                    for sender, is_watched in zip(visit.encodings.get(producer_id, ()), active, strict=False):
                        sender.switch(is_watched)
                case TransportStateChanged(state="failed"):
                    self.shared.tally.fail("a transport failed")

    async def _move(self, visit: LiveVisit) -> None:
        client, tally = visit.client, self.shared.tally
        assert client is not None
        began = time.monotonic()
        tally.moves += 1
        try:
            async with self._moving:
                await client.change_network(host=self._another_address(client))
        except ConnectionClosed:
            tally.lost_sessions += 1
            raise
        receiving, flowing = client.endpoints.get("receive"), self._flowing(client)
        if receiving is None or not flowing:
            return
        with trio.move_on_after(SILENCE) as waiting:
            await receiving.next_rtp()
            tally.move.record(time.monotonic() - began)
        if waiting.cancelled_caught and self.shared.sending and not visit.leaving:
            tally.moves_without_media += bool(flowing & self._flowing(client))

    def _another_address(self, client: LightClient) -> str | None:
        """A random loopback address if the gateway has one, too.  Otherwise only the port changes."""
        hosts = [endpoint.socket.getpeername()[0] for endpoint in client.endpoints.values()]
        if hosts and all(host.startswith("127.") for host in hosts):
            return f"127.0.0.{self.shared.rng.randrange(1, 255)}"
        return None

    def _flowing(self, client: LightClient) -> set[str]:
        """The consumers whose packets have come."""
        return {consumer_id for consumer_id, meter in client.streams.items() if meter.first_at is not None}

    # Media.

    def _subscribe_to_all(
        self, visit: LiveVisit, client: LightClient, participant: Participant, tasks: trio.Nursery
    ) -> None:
        """Subscribe once to each stream of a participant."""
        if not self.slot.subscribes or participant.user_id == visit.user_id or visit.leaving:
            return
        for producer in participant.producers:
            if producer.producer_id not in visit.wanted:
                visit.wanted.add(producer.producer_id)
                tasks.start_soon(_unless_leaving, visit, self._subscribe, visit, client, producer.producer_id)

    async def _subscribe(self, visit: LiveVisit, client: LightClient, producer_id: str) -> None:
        try:
            consumer_id = await client.subscribe(producer_id)
        except RequestError as error:
            if error.code != ErrorCode.NOT_FOUND:  # the producer has closed meanwhile
                raise
            return
        meter = client.streams[consumer_id]
        if self.shared.plan.layer is not None and meter.simulcast:
            await client.signalling.request(SetLayers(consumer_id, self.shared.plan.layer, BEST_LAYER))
        visit.taken_at[consumer_id] = time.monotonic()
        with trio.move_on_after(SILENCE):
            await meter.begun.wait()
        if meter.first_at is None:
            if consumer_id in client.streams and self.shared.sending and not visit.leaving:
                self.shared.tally.count_silent(visit, consumer_id)
        elif producer_id in visit.listed_at_join and not visit.had_media:
            visit.had_media = True
            self.shared.tally.first_media.record(max(0.0, meter.first_at - visit.joined_at))

    async def _publish(self, visit: LiveVisit, client: LightClient) -> None:
        shared = self.shared
        endpoint = await client.transport("send")
        with self._sending:
            async with trio.open_nursery() as sending_tasks:
                for kind in shared.plan.kinds:
                    senders = [self._sender(loop, endpoint, client) for loop in shared.media[kind]]
                    # Register the senders before announcing them.  The gateway may ask for a key frame at once.
                    visit.senders |= {sender.ssrc: sender for sender in senders}
                    layers = [Layer(each.ssrc, round(each.loop.bitrate)) for each in senders]
                    producer_id = await client.publish_layers(kind, layers)
                    if len(senders) > 1:
                        visit.encodings[producer_id] = senders
                    for sender in senders:
                        sending_tasks.start_soon(sender.run)
                await trio.sleep_forever()

    def _sender(self, loop: MediaLoop, endpoint: LightEndpoint, client: LightClient) -> LoopSender:
        rng = self.shared.rng
        # Receivers that change between encodings need the clocks of both.
        cname = self.slot.user_id if self.shared.plan.simulcast else None
        return LoopSender(loop, endpoint, rng.randrange(1, 1 << 32), rng, cname, wide_id=client.wide_id)


def _loss(plan: Plan, visit: LiveVisit) -> NetworkLoss | None:
    """Return the visit's own losses.  Their generator has a seed of its own, so all other randomness stays the same."""
    if not plan.lose_up and not plan.lose_down:
        return None
    return NetworkLoss(plan.lose_down, plan.lose_up, random.Random(f"{plan.seed} {visit.user_id} {visit.number}"))


def _change_fact(visit: LiveVisit, event: VoiceState, at: float, *, agrees: bool) -> ChangeFact:
    return ChangeFact(
        at,
        visit.channel_id,
        visit.user_id,
        visit.number,
        Position(event.epoch, event.revision),
        event.type,
        event.user_id,
        event.reason,
        agrees,
    )


async def _unless_leaving(visit: LiveVisit, do: Callable[[*Ts], Awaitable[None]], *args: *Ts) -> None:
    """Ignore the failure of a step that the member's own leaving interrupted."""
    try:
        await do(*args)
    except FAILURES:
        if not visit.leaving:
            raise
