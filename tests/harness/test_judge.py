"""Each test breaks the gateway on purpose, and sees that a rule of the judge catches it."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
import trio

import sfu
import sfu.lookup
import sfu.peer
from gateway.channel.channel import Channel
from gateway.channel.member import Member
from gateway.connection import end_reasons
from gateway.connection.connection import Connection
from gateway.connection.outbox import Frame
from protocol.events import ConnectionQualityChanged, VoiceState
from protocol.vocabulary import Participant
from sfu.dataplane.core import DataPlaneCore
from sfu.dataplane.interface import Path
from sfu.dataplane.memory import MemoryDataPlane
from tools.harness import GuaranteeBroken, World, run_scenario
from tools.harness.endpoint import ReceivedStream
from tools.harness.ways import removed, reset
from tools.light.wire.demux import Protocol, classify

Patch = pytest.MonkeyPatch


async def adas_connection_breaks(world: World) -> None:
    """Ben, Ada and Cleo talk, and Ada's connection breaks."""
    await world.call("ben", "ada", "cleo")
    reset(world, "ada")
    await trio.sleep(1)


def caught(guarantee: int, why: str, scenario: Callable[[World], Any] = adas_connection_breaks) -> None:
    """The judge reports this guarantee as broken, for this reason, and names a line."""
    with pytest.raises(GuaranteeBroken, match=why) as found:
        run_scenario(scenario, objects=False)
    assert found.value.guarantee == guarantee
    assert str(found.value).startswith(f"guarantee {guarantee} is broken: ")
    assert str(found.value.line)
    assert str(found.value.line).strip() in str(found.value)


def test_a_correct_gateway_passes() -> None:
    run_scenario(adas_connection_breaks, objects=False)


# 1. Order.


def test_media_that_is_still_open_when_the_list_changes_is_caught(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sfu.Peer, "close", lambda peer: [])
    caught(1, "ada left the list while its media was still open")


def test_announcing_a_leave_before_the_list_changes_is_caught(monkeypatch: Patch) -> None:
    close = sfu.Peer.close

    def notify_first(peer: Any) -> Any:
        peer.observer.seat.channel._broadcast_change("user_left", peer.observer.seat.member, reason="left")
        return close(peer)

    monkeypatch.setattr(sfu.Peer, "close", notify_first)
    caught(1, "a leave was announced before the list had changed")


def test_closing_producers_before_consumers_is_caught(monkeypatch: Patch) -> None:
    close = sfu.Peer.close

    def producers_first(peer: Any) -> Any:
        for producer in list(peer.producers.values()):
            producer.close()
        return close(peer)

    monkeypatch.setattr(sfu.Peer, "close", producers_first)
    caught(1, "close consumer after close producer")


def test_announcing_closed_consumers_before_everything_is_closed_is_caught(monkeypatch: Patch) -> None:
    drop = sfu.Producer.drop

    def drop_and_tell(producer: Any) -> Any:
        closed_consumers = drop(producer)
        sfu.lookup.notify_closed(closed_consumers, sfu.ConsumerEndReason.USER_LEFT)
        return closed_consumers

    monkeypatch.setattr(sfu.Producer, "drop", drop_and_tell)
    caught(1, "close (producer|transport) after say consumer closed")


def test_forwarding_after_the_end_is_caught(monkeypatch: Patch) -> None:
    for method in ("remove_consumer", "remove_producer", "remove_transport"):
        monkeypatch.setattr(DataPlaneCore, method, lambda plane, number: None)
    caught(1, "the gateway forwarded a packet from or to ada after its removal")


def test_announcing_a_consumers_end_after_its_senders_leave_is_caught(monkeypatch: Patch) -> None:
    remove, notify = Channel.remove, sfu.lookup.notify_closed
    late: list[tuple[list[sfu.Consumer], Any]] = []

    def notify_late(channel: Channel, member: Member) -> None:
        remove(channel, member)
        for closed_consumers, why in late:
            notify(closed_consumers, why)
        late.clear()

    monkeypatch.setattr(
        sfu.peer, "notify_closed", lambda closed_consumers, why: late.append((list(closed_consumers), why))
    )
    monkeypatch.setattr(Channel, "remove", notify_late)
    caught(1, "a consumer's end was announced after its sender's leave")


# 2. Exactly once.


def keep_from_ben(monkeypatch: Patch) -> None:
    """Ben gets no ``user_left``."""
    send = Member.send

    def forget_ben(member: Member, frame: Frame, **how: Any) -> bool:
        return (member.user_id == "ben" and '"user_left"' in frame.text) or send(member, frame, **how)

    monkeypatch.setattr(Member, "send", forget_ben)


def test_a_missing_notice_of_a_leave_is_caught(monkeypatch: Patch) -> None:
    keep_from_ben(monkeypatch)
    caught(2, "in the end ben lists")


def after(monkeypatch: Patch, method: str, more: Callable[[Channel, Member], object]) -> None:
    """Call ``more`` after every call of this method of a channel."""
    original = getattr(Channel, method)

    def patched(channel: Channel, member: Member, *rest: Any) -> None:
        original(channel, member, *rest)
        more(channel, member)

    monkeypatch.setattr(Channel, method, patched)


def test_announcing_a_leave_twice_is_caught(monkeypatch: Patch) -> None:
    def again(channel: Channel, member: Member) -> None:
        channel.revision += 1
        channel._broadcast_change("user_left", member, reason="left")

    after(monkeypatch, "remove", again)
    caught(2, "user_left about ada, who was not listed")


def test_announcing_the_connection_of_somebody_who_has_left_is_caught(monkeypatch: Patch) -> None:
    def announce(channel: Channel, member: Member) -> None:
        channel.broadcast(ConnectionQualityChanged(member.user_id, "lost"))

    after(monkeypatch, "remove", announce)
    caught(2, "the quality of a connection was announced, but its user is not listed")


def test_announcing_a_join_twice_is_caught(monkeypatch: Patch) -> None:
    def again(channel: Channel, member: Member) -> None:
        if len(channel.members) > 1:
            channel.revision += 1
            channel._broadcast_change("user_joined", member, but=member)

    after(monkeypatch, "admit", again)
    caught(2, "ada joined, but was listed already")


def test_announcing_a_leave_to_the_leaver_is_caught(monkeypatch: Patch) -> None:
    broadcast_change = Channel._broadcast_change

    def broadcast_to_everybody(channel: Channel, kind: Any, about: Member, **more: Any) -> int:
        if kind != "user_left":
            return broadcast_change(channel, kind, about, **more)
        channel.members[about.user_id] = about
        received = broadcast_change(channel, kind, about, **more)
        del channel.members[about.user_id]
        return received

    async def scenario(world: World) -> None:
        ada, _ben = await world.joined("ada", "ben")
        await ada.leave()

    monkeypatch.setattr(Channel, "_broadcast_change", broadcast_to_everybody)
    caught(2, "ada got a user_left about itself", scenario)


def snapshots(monkeypatch: Patch, change: Callable[[Sequence[Participant]], Sequence[Participant]]) -> None:
    """Change every list of participants that the gateway sends."""
    snapshot = Channel.snapshot
    monkeypatch.setattr(Channel, "snapshot", lambda channel: tuple(change(snapshot(channel))))


def test_a_user_who_is_listed_twice_is_caught(monkeypatch: Patch) -> None:
    snapshots(monkeypatch, lambda people: [*people[:1], *people])
    caught(2, "a user is listed twice")


def test_a_joiner_who_is_not_the_last_on_the_list_is_caught(monkeypatch: Patch) -> None:
    async def scenario(world: World) -> None:
        ada, ben = await world.connected("ada", "ben")
        await ben.join()
        await ada.join()

    snapshots(monkeypatch, lambda people: people[::-1])
    caught(2, "the new participant is not the last on the list", scenario)


def test_a_ghost_that_stays_on_the_list_is_caught(monkeypatch: Patch) -> None:
    after(monkeypatch, "remove", lambda channel, member: channel.members.update({member.user_id: member}))
    caught(2, "lobby lists")


# 3. Revision.


def test_a_revision_that_rises_by_two_is_caught(monkeypatch: Patch) -> None:
    broadcast_change = Channel._broadcast_change

    def skip_one(channel: Channel, *about: Any, **more: Any) -> int:
        channel.revision += 1
        return broadcast_change(channel, *about, **more)

    monkeypatch.setattr(Channel, "_broadcast_change", skip_one)
    caught(3, "revision 4 came after 2")


def test_a_missed_change_is_caught_at_the_next_one(monkeypatch: Patch) -> None:
    async def scenario(world: World) -> None:
        await world.joined("ben", "ada", "cleo")
        reset(world, "ada")
        await world.settle()
        await world.joined("dan")

    keep_from_ben(monkeypatch)
    caught(3, "revision 5 came after 3", scenario)


def changes(monkeypatch: Patch, **wrong: Callable[[Any], Any]) -> None:
    """Make these fields wrong in every announced change."""
    encode = Frame.of

    def wrongly(message: Any) -> Frame:
        if isinstance(message, VoiceState):
            fields = {name: make(getattr(message, name)) for name, make in wrong.items()}
            message = attrs.evolve(message, **fields)
        return encode(message)

    monkeypatch.setattr(Frame, "of", wrongly)


def test_a_wrong_count_is_caught(monkeypatch: Patch) -> None:
    changes(monkeypatch, count=lambda count: count + 1)
    caught(3, "the list has 2, but the count says 3")


def test_a_wrong_list_is_caught(monkeypatch: Patch) -> None:
    changes(monkeypatch, participants=lambda people: people and people[::-1])
    caught(3, "the whole list differs from the list with all changes applied")


# 4. Bounded.


def test_leaving_without_a_bound_is_caught(monkeypatch: Patch) -> None:
    async def dawdle(*_: object) -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 6):
            await trio.sleep_forever()

    monkeypatch.setattr(sfu.Peer, "say_goodbyes", dawdle)
    caught(4, r"leaving took 6\.000 s")


def test_a_goodbye_without_a_bound_is_caught(monkeypatch: Patch) -> None:
    async def dawdle(connection: Connection) -> None:
        seconds = connection.config.exit_timeout + 2 * connection.config.goodbye_timeout + 1
        with trio.CancelScope(shield=True, deadline=trio.current_time() + seconds):
            await trio.sleep_forever()

    async def scenario(world: World) -> None:
        await world.joined("ben", "ada")
        removed(world, "ada")
        await trio.sleep(1)

    monkeypatch.setattr(Connection, "say_goodbye", dawdle)
    caught(4, "a connection took .* s to end", scenario)


# 5. Isolation.


def test_closing_a_client_without_a_reason_is_caught(monkeypatch: Patch) -> None:
    def end_ben(channel: Channel, _: Member) -> None:
        if "ben" in channel.members:
            channel.members["ben"].connection.end(end_reasons.INTERNAL)

    after(monkeypatch, "remove", end_ben)
    caught(5, "the connection of ben ended")


def test_missing_media_is_caught(monkeypatch: Patch) -> None:
    deliver, numbers = MemoryDataPlane.deliver, iter(range(1_000_000))

    def lose_some(plane: MemoryDataPlane, datagram: bytes, path: Path) -> bool:
        if classify(datagram) is Protocol.RTP and next(numbers) % 10 == 9:
            return False
        return deliver(plane, datagram, path)

    monkeypatch.setattr(MemoryDataPlane, "deliver", lose_some)
    caught(5, "missed packets with SSRC")


@pytest.mark.parametrize("wrong", [("other", 2), ("voice", 1)], ids=["of another stream", "again"])
def test_an_unexpected_packet_is_caught(wrong: tuple[str, int]) -> None:
    async def scenario(world: World) -> None:
        ben, _ada = await world.call("ben", "ada")
        await trio.sleep(1)
        stream = next(iter(ben.endpoints["receive"].streams.values()))
        origin, number = wrong
        stream.take(stream.producer if origin == "voice" else origin, number, trio.current_time())

    caught(5, "got repeated packets or packets of another stream", scenario)


def test_gaps_repetitions_and_foreign_packets_are_counted_apart() -> None:
    stream = ReceivedStream("voice", 1)
    for origin, number in [("voice", 1), ("voice", 2), ("voice", 5), ("voice", 5), ("other", 6)]:
        stream.take(origin, number, 0)
    assert (stream.packets, stream.gaps, stream.repeated, stream.strange) == (5, 2, 1, 1)
