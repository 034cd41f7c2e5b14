"""A flight is sent again until it is answered, on the caller's clock alone."""

import pytest

from sfu.wire.dtls.flight import MAX_RESENDS, REPEAT_GAP, Flight
from sfu.wire.dtls.records import HANDSHAKE, MAX_DATAGRAM, Record, pack, parse_records_untrusted
from sfu.wire.errors import BadDatagram


def record(size: int, message: int = 0, content_type: int = HANDSHAKE, epoch: int = 0) -> Record:
    """A record of ``size`` bytes, header included, that begins with this handshake message."""
    body = (b"\x0b\x00\x00\x00" + message.to_bytes(2, "big") + bytes(6)).ljust(size - 13, b"\0")
    header = bytes([content_type]) + b"\xfe\xfd" + epoch.to_bytes(2, "big") + bytes(6) + len(body).to_bytes(2, "big")
    return Record(content_type, epoch, header + body)


def test_records_share_datagrams_unsplit() -> None:
    records = [record(500, 0), record(600, 1), record(200, 2), record(1200, 3), record(30, 4)]
    assert [len(datagram) for datagram in pack(records)] == [1100, 200, 1200, 30]
    assert b"".join(pack(records)) == b"".join(each.raw for each in records)
    assert max(len(datagram) for datagram in pack(records)) <= MAX_DATAGRAM


def test_records_are_read_back_as_they_were_packed() -> None:
    records = [record(100, 0), record(50, 1, epoch=1), record(30, 2, content_type=20)]
    assert parse_records_untrusted(b"".join(each.raw for each in records)) == records
    with pytest.raises(BadDatagram):
        parse_records_untrusted(record(100).raw[:-1])


def test_a_flight_that_openssl_repeats_on_its_own_timer_is_not_sent() -> None:
    flight = Flight()
    first = [record(100, 0)]
    assert flight.begin(first, 0.0) == [first[0].raw]
    assert flight.begin([record(101, 0)], 0.5) == []
    assert flight.resend_at == 1.0
    assert flight.resend(1.0) == [first[0].raw]

    # Records after a hello-verify request are new, and so is a flight that begins with no message.
    second = record(120, 1)
    assert flight.begin([second], 1.5) == [second.raw]
    third = record(30, 0, content_type=20)
    assert flight.begin([third], 1.75) == [third.raw]
    assert flight.resend_at == 2.75


def test_the_longest_wait_is_8_seconds() -> None:
    flight = Flight()
    flight.begin([record(100)], 0.0)
    waits = []
    now = 0.0
    for _ in range(MAX_RESENDS):
        assert flight.resend_at is not None
        waits.append(flight.resend_at - now)
        now = flight.resend_at
        flight.resend(now)
    assert waits == [1, 2, 4] + [8] * (MAX_RESENDS - 3)


def test_a_finished_flight_has_no_timer_and_is_kept_only_if_needed() -> None:
    kept, dropped = Flight(), Flight()
    for flight in (kept, dropped):
        flight.begin([record(100)], 0.0)
    kept.finish(keep=True)
    dropped.finish(keep=False)
    assert (kept.resend_at, dropped.resend_at) == (None, None)
    assert kept.repeat(1.0) == [record(100).raw]
    assert dropped.repeat(1.0) == []


def test_a_flight_is_not_repeated_in_a_burst() -> None:
    flight = Flight()
    flight.begin([record(100)], 5.0)
    flight.finish(keep=True)
    assert flight.repeat(5.0 + REPEAT_GAP / 2) == []
    assert len(flight.repeat(5.0 + REPEAT_GAP * 1.5)) == 1
    assert flight.repeat(5.0 + REPEAT_GAP * 2) == []
