"""SSRCs that were not announced are learned from MID and RID (RFC 8843, RFC 8852)."""

import pytest

from sfu.dataplane.interface import DropReason, ProducerId
from sfu.dataplane.values import EncodingLearned, EncodingSpec, LayersChanged, ProducerSpec
from tests.dataplane.core_with_clients import AUDIO, VIDEO, Client, Rig, changed
from tests.dataplane.vp8 import vp8

MID, RID = 4, 10
SIMULCAST = changed(VIDEO, encodings=[EncodingSpec(rid="l"), EncodingSpec(rid="h")], mid="1", mid_id=MID, rid_id=RID)
BY_MID = changed(AUDIO, encodings=[EncodingSpec()], mid="0", mid_id=MID)


def send(
    client: Client, number: int, ssrc: int, mid: str | None, rid: str | None, *, key: bool = True, kind: int = 96
) -> None:
    extensions = []
    if mid is not None:
        extensions.append((MID, mid.encode()))
    if rid is not None:
        extensions.append((RID, rid.encode()))
    client.send_rtp(number, ssrc=ssrc, payload_type=kind, payload=vp8(key=key), extensions=tuple(extensions))


def test_simulcast_encodings_are_identified_by_their_rids() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call(SIMULCAST)
    send(sender, 1, 51, "1", "h")
    send(sender, 1, 50, "1", "l")
    send(sender, 2, 50, None, None)
    assert rig.events() == [
        EncodingLearned(producer, 1, 51),
        EncodingLearned(producer, 0, 50),
        LayersChanged(consumer, 0, None, None),
    ]
    assert rig.events() == []
    assert len(receiver.packets()) == 2
    assert [encoding.ssrc for encoding in rig.core.producer_stats(producer).encodings] == [50, 51]


@pytest.mark.parametrize(
    ("mid", "rid", "payload_type"),
    [(None, None, 96), ("1", None, 96), (None, "h", 96), ("2", "h", 96), ("1", "x", 96), ("1", "h", 97)],
)
def test_a_packet_whose_mid_rid_or_payload_type_does_not_match_is_dropped(
    mid: str | None, rid: str | None, payload_type: int
) -> None:
    rig = Rig()
    sender, _, _, _ = rig.call(SIMULCAST)
    send(sender, 1, 50, mid, rid, kind=payload_type)
    assert rig.dropped() == {DropReason.UNKNOWN_STREAM: 1}
    assert rig.events() == []


def test_a_single_encoding_is_identified_by_its_mid_alone() -> None:
    rig = Rig()
    sender, producer, receiver, _ = rig.call(BY_MID)
    send(sender, 1, 50, "9", None, kind=111)
    send(sender, 2, 50, "0", None, kind=111)
    assert rig.dropped() == {DropReason.UNKNOWN_STREAM: 1}
    assert rig.events()[0] == EncodingLearned(producer, 0, 50)
    assert len(receiver.packets()) == 1


def test_a_rid_is_enough_for_a_producer_without_a_mid() -> None:
    rig = Rig()
    sender, producer, _, _ = rig.call(changed(SIMULCAST, mid=None))
    send(sender, 1, 50, None, "h")
    assert rig.events() == [EncodingLearned(producer, 1, 50)]


def test_an_announced_ssrc_gives_way_to_one_that_carries_its_mid() -> None:
    rig = Rig()
    sender, producer, receiver, _ = rig.call(changed(AUDIO, mid="0", mid_id=MID))
    send(sender, 1, 50, "0", None, kind=111)
    assert rig.events()[0] == EncodingLearned(producer, 0, 50)
    assert len(receiver.packets()) == 1


def test_no_ssrc_is_learned_from_a_forged_packet() -> None:
    rig = Rig()
    sender, producer, _, _ = rig.call(SIMULCAST)
    stranger = Client(rig, rig.number(), sender.keys.profile)
    stranger.path = sender.path
    send(stranger, 1, 66, "1", "h")
    assert rig.dropped() == {DropReason.UNAUTHENTIC: 1}
    assert rig.events() == []
    assert rig.core.producer_stats(producer).encodings[1].ssrc is None
    send(sender, 2, 66, None, None)
    assert rig.dropped() == {DropReason.UNAUTHENTIC: 1, DropReason.UNKNOWN_STREAM: 1}


def test_an_encoding_with_another_ssrc_begins_anew() -> None:
    rig = Rig()
    sender, producer, receiver, consumer = rig.call(SIMULCAST)
    send(sender, 1, 50, "1", "l")
    send(sender, 2, 50, "1", "l", key=False)
    first = receiver.headers()
    rig.events()
    rig.now += 1.0
    send(sender, 60000, 59, "1", "l", key=False)
    assert receiver.packets() == []
    send(sender, 60001, 59, "1", "l")
    (header,) = receiver.headers()
    assert header.sequence_number == first[-1].sequence_number + 1
    assert header.timestamp == first[-1].timestamp + 90000
    assert rig.events() == [EncodingLearned(producer, 0, 59), LayersChanged(consumer, 0, None, None)]
    stats = rig.core.producer_stats(producer).encodings[0]
    assert (stats.ssrc, stats.packets, stats.lost) == (59, 2, 0)
    send(sender, 3, 50, None, None)
    assert rig.dropped() == {DropReason.UNKNOWN_STREAM: 1}


def test_an_encoding_has_one_ssrc_however_often_it_changes() -> None:
    rig = Rig()
    sender, producer, _, _ = rig.call(SIMULCAST)
    for ssrc in range(100, 200):
        send(sender, 1, ssrc, "1", "l")
    assert [event for event in rig.events() if isinstance(event, EncodingLearned)] == [
        EncodingLearned(producer, 0, 199)
    ]
    for ssrc in range(100, 199):
        send(sender, 2, ssrc, None, None)
    assert rig.dropped() == {DropReason.UNKNOWN_STREAM: 99}


def test_an_ssrc_learned_for_a_removed_producer_is_not_reported() -> None:
    rig = Rig()
    sender, producer, _, _ = rig.call(SIMULCAST)
    send(sender, 1, 50, "1", "l")
    rig.core.remove_producer(producer)
    assert rig.events() == []


@pytest.mark.parametrize(
    "spec",
    [
        changed(AUDIO, encodings=[EncodingSpec()]),
        changed(AUDIO, encodings=[EncodingSpec()], mid="0"),
        changed(AUDIO, encodings=[EncodingSpec(rid="h")]),
        changed(AUDIO, encodings=[EncodingSpec(), EncodingSpec()], mid="0", mid_id=MID),
        changed(AUDIO, encodings=[EncodingSpec(rid="h"), EncodingSpec(rid="h")], rid_id=RID),
        changed(AUDIO, encodings=[EncodingSpec(ssrc=1), EncodingSpec(ssrc=1)]),
    ],
)
def test_encodings_that_nothing_would_identify_are_refused(spec: ProducerSpec) -> None:
    rig = Rig()
    client = rig.client()
    with pytest.raises(ValueError):
        rig.core.add_producer(client.transport, ProducerId(77), spec)
    assert rig.core.totals().producers == 0


def test_producers_of_one_transport_cannot_share_a_name_or_an_ssrc() -> None:
    rig = Rig()
    client, other = rig.client(), rig.client()
    for spec in (SIMULCAST, BY_MID, AUDIO):
        rig.produce(client, spec)
        with pytest.raises(ValueError):
            rig.produce(client, spec)
        rig.produce(other, spec)
    rig.produce(client, changed(SIMULCAST, mid="2"))
    rig.produce(client, changed(BY_MID, mid="3"))
    assert rig.core.totals().producers == 8


def test_a_learned_ssrc_cannot_be_given_to_another_producer() -> None:
    rig = Rig()
    client = rig.client()
    rig.produce(client, SIMULCAST)
    send(client, 1, 1111, "1", "l")
    with pytest.raises(ValueError):
        rig.produce(client, AUDIO)
