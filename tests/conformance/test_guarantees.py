"""The guarantees of the gateway, each tested at least once from end to end."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed

import sfu
from tests.conformance.whole_gateway import Gate, Note, closing, hang_up, open_gate
from tests.media.memory_network import Client as MediaClient
from tests.media.rtp import Rtp
from tests.session.example_media import opus
from tests.session.memory_gateway import Frame, RawClient, microphone, send_transport
from tools.harness.client import secret_of
from tools.light.transport import Identity
from tools.light.wire.demux import Protocol, classify


@define
class Person:
    """A member that speaks and listens. ``ssrcs`` maps each user id to the SSRC of its voice here."""

    gate: Gate
    client: RawClient
    user: str
    sender: MediaClient
    receiver: MediaClient
    receiving: str
    voice: str
    ssrc: int
    ssrcs: dict[str, int] = field(factory=dict)

    async def listen_to(self, other: "Person") -> None:
        asked = {"transportId": self.receiving, "producerId": other.voice, "paused": False}
        consumed = await self.client.ok("consume", **asked)
        self.ssrcs[other.user] = consumed["rtpParameters"]["encodings"][0]["ssrc"]

    async def speak(self) -> None:
        """Send a packet every 20 ms while the gateway is reachable."""
        for number in range(10_000):
            self.sender.transport.send_rtp(bytes(Rtp(111, number % 65536, 960 * number, self.ssrc, b"voice")))
            self.sender.flush()
            await trio.sleep(0.02)


async def talk(gate: Gate, identity: Identity, *users: str) -> list[Person]:
    """Let every member receive every other member's voice."""
    people = []
    for number, (user, client) in enumerate(zip(users, await gate.joined(*users), strict=True)):
        sending, sender = await gate.connected(client, "send", identity)
        receiving, receiver = await gate.connected(client, "receive", identity)
        voice = await microphone(client, sending, 1001 + number)
        people.append(Person(gate, client, user, sender, receiver, receiving, voice, 1001 + number))
    for person in people:
        for other in people:
            if other is not person:
                await person.listen_to(other)
        gate.nursery.start_soon(person.speak)
    await trio.sleep(0.5)
    for person in people:
        await person.client.take_all()
    return people


def forwarded(notes: list[Note]) -> list[Note]:
    """Return the media packets among the gateway's output."""
    return [note for note in notes if not isinstance(note.to, str) and classify(note.data) is Protocol.RTP]


def ssrc_of(note: Note) -> int:
    return int.from_bytes(note.data[8:12])


def position(notes: list[Note], user: str, text: bytes) -> int:
    """Return the position of the first message of this type on this user's WebSocket."""
    return next(number for number, note in enumerate(notes) if note.to == user and text in note.data)


# 1. Order.


async def leave(client: RawClient) -> None:
    await client.request("leave")


async def close(client: RawClient) -> None:
    await client.close()


async def break_rules(client: RawClient) -> None:
    await client.raw(b"binary")


async def talk_nonsense(client: RawClient) -> None:
    for _ in range(21):
        await client.raw("nonsense")


End = Callable[[RawClient], Awaitable[None]]
ENDS: list[End] = [leave, close, hang_up, break_rules, talk_nonsense]


@pytest.mark.parametrize("end", ENDS)
async def test_after_user_left_no_packet_from_or_to_that_session_is_forwarded(
    autojump_clock: MockClock, identity: Identity, end: End
) -> None:
    async with open_gate() as gate:
        ada, ben, cleo = await talk(gate, identity, "ada", "ben", "cleo")
        gate.journal.clear()
        await trio.sleep(0.1)
        hers = {ben.ssrcs["ada"], cleo.ssrcs["ada"]}
        assert {ssrc_of(note) for note in forwarded(gate.journal)} > hers
        await end(ada.client)
        await trio.sleep(0.5)  # Ada speaks all the time

        seen = min(position(gate.journal, user, b'"user_left"') for user in ("ben", "cleo"))
        after = forwarded(gate.journal[seen:])
        assert {ssrc_of(note) for note in after} == {ben.ssrcs["cleo"], cleo.ssrcs["ben"]}
        assert {note.to for note in after} == {ben.receiver.path, cleo.receiver.path}


async def test_consumers_producers_and_transports_go_in_this_order_and_then_the_list_changes(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_gate() as gate:
        ada, ben = await talk(gate, identity, "ada", "ben")
        hers = gate.router.directory.consumers.copy()
        hers = {number: one for number, one in hers.items() if one.ssrc == ada.ssrcs["ben"]}
        order: list[str] = []

        def note(kind: str) -> None:
            original = getattr(gate.plane, f"remove_{kind}")

            def remove(number: Any) -> None:
                order.append(kind if kind != "consumer" or number in hers else "consumer at ben's")
                original(number)

            monkeypatch.setattr(gate.plane, f"remove_{kind}", remove)

        for kind in ("consumer", "producer", "transport"):
            note(kind)
        await hang_up(ada.client)
        while (frame := await ben.client.next())["type"] == "active_speakers":
            pass
        assert order == ["consumer", "consumer at ben's", "producer", "transport", "transport"]
        # The owner of a consumer is notified before the list changes.
        assert (frame["type"], frame["data"]["reason"]) == ("consumer_closed", "user_left")
        assert (await ben.client.voice_state("user_left"))["userId"] == "ada"


# 2 and 3. Exactly once, and the revision.


@define
class Observer:
    """Keeps a list from the received events alone, as a client does.  Fails if they break a guarantee."""

    user: str
    client: RawClient
    transport: str
    revision: int
    listed: list[str]

    def take(self) -> None:
        """Apply all received events."""
        for frame in self.client.frames:
            if frame["type"] == "voice_state":
                self._apply(frame["data"])
        self.client.forget()

    def _apply(self, data: Frame) -> None:
        assert data["revision"] == self.revision + 1
        self.revision += 1
        about = data["userId"]
        assert about == data["participant"]["userId"]
        if data["type"] == "user_joined":
            assert about not in self.listed
            self.listed.append(about)
        elif data["type"] == "user_left":
            assert about != self.user
            self.listed.remove(about)
        else:
            assert data["type"] == "user_updated"
            assert about in self.listed
        assert data["count"] == len(self.listed)
        assert [one["userId"] for one in data["participants"]] == self.listed


async def join(gate: Gate, user: str) -> Observer:
    """Join, possibly replacing an older session."""
    client = await gate.connect(user)
    joined = await client.join(user)
    listed = [one["userId"] for one in joined["participants"]]
    assert len(set(listed)) == len(listed)
    assert listed[-1] == user
    return Observer(user, client, await send_transport(client), joined["revision"], listed)


async def produce(observer: Observer, ssrc: int) -> None:
    asked = {"kind": "audio", "rtpParameters": opus(ssrc), "source": "microphone"}
    await observer.client.request("produce", transportId=observer.transport, **asked)


@pytest.mark.parametrize("seed", range(4))
async def test_random_joins_and_leaves_keep_every_members_list_right(autojump_clock: MockClock, seed: int) -> None:
    rng = random.Random(seed)
    done: list[str] = []
    async with open_gate(request_burst=10_000) as gate:
        here = {"stays": await join(gate, "stays")}
        for number in range(60):
            user = f"user-{rng.randrange(6)}"
            way = rng.choice(["join again", "update", "update", *(end.__name__ for end in ENDS)])
            if user not in here or way == "join again":
                if user in here:
                    here[user].take()
                here[user] = await join(gate, user)
            elif way == "update":
                await produce(here[user], 1 + number)
            else:
                await next(end for end in ENDS if end.__name__ == way)(here.pop(user).client)
            done.append(way)
            if rng.random() < 0.5:  # so that the next step begins after this one
                await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        for observer in here.values():
            observer.take()
            assert set(observer.listed) == set(here)
            assert observer.listed == here["stays"].listed
            assert observer.revision == here["stays"].revision
        assert {"join again", "update", *(end.__name__ for end in ENDS)} == set(done)


async def test_every_replaced_session_leaves_once_before_the_next_one_joins(
    autojump_clock: MockClock,
) -> None:
    async with open_gate() as gate:
        (ben,) = await gate.joined("ben")
        clients = [await gate.connect() for _ in range(10)]
        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(_try_to_join, client)
        seen = [frame["data"]["type"] for frame in await ben.take_all()]
        assert seen[0] == "user_joined"
        assert seen == ["user_joined", "user_left"] * (len(seen) // 2) + ["user_joined"]
        assert [client.closed for client in clients].count(None) == 1
        assert {client.closed for client in clients} == {None, 4409}
        joined = await (await gate.connect()).join("cleo")
        assert [one["userId"] for one in joined["participants"]] == ["ben", "ada", "cleo"]


async def _try_to_join(client: RawClient) -> None:
    await client.request("join", channelId="lobby", username="Ada", userId="ada", sessionSecret=secret_of("ada"))
    await wait_all_tasks_blocked()


# 4. Bounded.


async def hang(_: sfu.Transport) -> NoReturn:
    await trio.sleep_forever()
    raise AssertionError("unreachable")


async def fail(_: sfu.Transport) -> NoReturn:
    await trio.lowlevel.checkpoint()
    raise RuntimeError("cannot say goodbye")


@pytest.mark.parametrize(
    ("goodbye", "settings", "most"),
    [(hang, {}, 5.0), (hang, {"courtesy_timeout": 60}, 5.0), (hang, {"exit_timeout": 0.5}, 0.5), (fail, {}, 0.0)],
)
async def test_a_goodbye_that_hangs_or_fails_is_cut_off_logged_and_counted(
    autojump_clock: MockClock,
    identity: Identity,
    monkeypatch: pytest.MonkeyPatch,
    goodbye: Callable[[sfu.Transport], Awaitable[None]],
    settings: dict[str, Any],
    most: float,
) -> None:
    async with open_gate(**settings) as gate:
        ada, ben = await talk(gate, identity, "ada", "ben")
        monkeypatch.setattr(sfu.Transport, "say_goodbye", goodbye)
        begun = trio.current_time()
        await hang_up(ada.client)
        await wait_all_tasks_blocked()
        gone = forwarded(gate.journal)[-1].at
        while (frame := await ben.client.next())["type"] != "voice_state":
            pass
        assert frame["data"]["type"] == "user_left"
        assert trio.current_time() - begun <= most
        assert gone - begun <= 0.02  # her media closed at once, before the goodbye
        assert gate.plane.totals().routes == 0
        assert gate.router.context.forced_cleanups == (2 if goodbye is hang else 0)
        assert [line for line in gate.log if "goodbye" in line["event"]]


async def test_one_step_that_fails_does_not_keep_the_others_from_closing(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_gate() as gate:
        ada, ben = await talk(gate, identity, "ada", "ben")
        original = sfu.Consumer.close

        def break_down(consumer: sfu.Consumer) -> None:
            original(consumer)
            raise RuntimeError("cannot close")

        monkeypatch.setattr(sfu.Consumer, "close", break_down)
        await hang_up(ada.client)
        seen = [frame["data"] for frame in await ben.client.take_all()]
        monkeypatch.undo()
        assert any(one.get("type") == "user_left" for one in seen)
        assert gate.plane.totals().routes == 0
        assert any(line["level"] == "error" for line in gate.log)


# 5. Isolation.


async def test_a_client_that_does_not_read_delays_no_other_clients_media_or_messages(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate(outbox_bytes=256 * 1024) as gate:
        ada, ben, _stuck = await talk(gate, identity, "ada", "ben", "stuck")
        (tap,) = gate.taps("stuck")
        tap.may_write = trio.Event()
        gate.journal.clear()
        begun = trio.current_time()
        for number in range(20):
            assert (await ada.client.ok("message", data=[number, "x" * 10_000]))["delivered"] == 2
        got = [frame["data"]["data"][0] for frame in await ben.client.take_all() if frame["type"] == "message"]
        assert got == list(range(20))
        assert trio.current_time() == begun
        await trio.sleep(5)
        voices = [note for note in forwarded(gate.journal) if note.to == ben.receiver.path]
        assert len(voices) == pytest.approx(2 * 5 / 0.02, rel=0.02)  # two voices all the time
        await trio.sleep(15)
        left = [frame["data"] for frame in await ben.client.take_all() if frame["type"] == "voice_state"]
        assert [(one["userId"], one["type"]) for one in left] == [("stuck", "user_left")]


async def test_a_client_that_floods_is_the_only_one_closed(autojump_clock: MockClock, identity: Identity) -> None:
    async with open_gate(request_burst=50, request_rate=10) as gate:
        ada, ben, flood = await talk(gate, identity, "ada", "ben", "flood")
        with suppress(ConnectionClosed):
            for _ in range(500):
                await flood.client.request("ping")
        code, _ = await closing(flood.client)
        assert code == 4429
        assert await ada.client.ok("message", data="all is well") == {"delivered": 1}
        assert (ada.client.closed, ben.client.closed) == (None, None)


# 6. Speed.


@pytest.mark.parametrize("end", [hang_up, close, leave])
async def test_the_gateway_acts_at_once_on_a_closed_connection(
    autojump_clock: MockClock, identity: Identity, end: End
) -> None:
    async with open_gate() as gate:
        ada, ben = await talk(gate, identity, "ada", "ben")
        begun = trio.current_time()
        await end(ada.client)
        while (frame := await ben.client.next())["type"] != "voice_state":
            pass
        assert frame["data"]["type"] == "user_left"
        assert trio.current_time() == begun


async def test_a_client_that_loses_power_is_gone_within_ten_seconds_with_its_media(
    autojump_clock: MockClock, identity: Identity
) -> None:
    async with open_gate() as gate:
        ada, ben = await talk(gate, identity, "ada", "ben")
        begun = trio.current_time()
        ada.sender.reachable = ada.receiver.reachable = False
        gate.switch_off(ada.client)
        while (frame := await ben.client.next())["type"] != "voice_state":
            pass
        assert (frame["data"]["type"], frame["data"]["reason"]) == ("user_left", "timed_out")
        assert trio.current_time() - begun <= 10
        assert gate.router.counts().transports == 2
