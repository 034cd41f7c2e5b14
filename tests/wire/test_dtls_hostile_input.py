"""Malformed and forged datagrams do not disturb a DTLS association."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.wire.dtls.dtls import (
    MAX_HANDSHAKE_DATAGRAMS,
    DtlsRole,
    DtlsState,
)
from sfu.wire.errors import BadDatagram
from tests.wire.dtls_peers import (
    OpenSslPeer,
    both_roles,
    connected_pair,
    events,
    failure_of,
    opposite,
    ours,
    theirs,
)


def test_garbage_in_the_middle_of_a_handshake_is_refused_and_changes_nothing() -> None:
    one, other = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    rng = random.Random(7)
    forged = [
        b"",
        b"\x16",
        b"\x16\xfe\xfd" + bytes(9),
        b"\x16\x03\x03" + bytes(8) + b"\x00\x01\x00",
        b"\x16\xfe\xfd\x00\x02" + bytes(6) + b"\x00\x01\x00",
        b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x01\x00" + rng.randbytes(256),
        b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x0c\x0b\x00\x0f\xff\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x16\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x0d\x0b\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00",
        b"\x15\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x02\x01\x00",
        b"\x17\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x02\x01\x00",
        b"\x14\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x01\x02",
        b"\x19\xfe\xfd\x00\x00" + bytes(6) + b"\x00\x01\x02",
        *(bytes([rng.randrange(20, 64)]) + rng.randbytes(rng.randrange(1, 300)) for _ in range(50)),
    ]
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            for datagram in forged if receiver.state is DtlsState.CONNECTING else ():
                with pytest.raises(BadDatagram):
                    receiver.receive(datagram, 0.0)
            for datagram in sender.datagrams_to_send():
                receiver.receive(datagram, 0.0)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(b"\x14\xfe\xfd\x00\x00\xff\xff\xff\xff\xff\xf0\x00\x01\x01", id="early change-cipher-spec"),
        pytest.param(b"\x16\xfe\xfd\x00\x01\xff\xff\xff\xff\xff\xf0\x00\x28" + bytes(40), id="forged Finished"),
        pytest.param(b"\x15\xfe\xfd\x00\x01\xff\xff\xff\xff\xff\xf0\x00\x28" + bytes(40), id="forged encrypted alert"),
    ],
)
@both_roles
def test_a_forged_record_with_a_high_number_disturbs_no_handshake(role: DtlsRole, forged: bytes) -> None:
    one, other = ours(role), theirs(opposite(role))
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            receiver.receive(forged, 0.0)
            for datagram in sender.datagrams_to_send():
                receiver.receive(datagram, 0.0)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)


def test_forged_alerts_do_not_end_a_connection() -> None:
    one, _ = connected_pair()
    for epoch in (b"\x00\x00", b"\x00\x01"):
        one.receive(b"\x15\xfe\xfd" + epoch + bytes(5) + b"\x09\x00\x02\x02\x28", 1.0)
    one.receive(b"\x15\xfe\xfd\x00\x01" + bytes(5) + b"\x0a\x00\x20" + bytes(32), 1.0)
    assert one.state is DtlsState.CONNECTED
    assert events(one) == []


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3), st.integers(0, 5))
def test_mutated_dtls_raises_nothing_but_bad_datagram(changes: list[tuple[float, int]], untouched: int) -> None:
    # Positions are fractions of a datagram, because its length varies with the signatures.
    one, other = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            for datagram in sender.datagrams_to_send():
                mutated = bytearray(datagram)
                for place, value in changes if untouched <= 0 else ():
                    mutated[int(place * len(mutated))] = value
                untouched -= 1
                with contextlib.suppress(BadDatagram):
                    receiver.receive(bytes(mutated), 0.0)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 12))
def test_truncated_and_repeated_datagrams_do_no_harm(repeats: list[int], cut: int) -> None:
    one, other = ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER)
    earlier: list[bytes] = []
    for _ in range(3):
        for sender, receiver in ((one, other), (other, one)):
            for datagram in sender.datagrams_to_send():
                with contextlib.suppress(BadDatagram):
                    receiver.receive(datagram[: -1 - cut], 0.0)
                receiver.receive(datagram, 0.0)
                earlier.append(datagram)
                for index in repeats:
                    with contextlib.suppress(BadDatagram):
                        receiver.receive(earlier[index % len(earlier)], 0.0)
    assert (one.state, other.state) == (DtlsState.CONNECTED, DtlsState.CONNECTED)


def test_a_handshake_of_endless_datagrams_fails() -> None:
    dtls = ours(DtlsRole.SERVER)
    hello = OpenSslPeer.make(DtlsRole.CLIENT).step()[0]
    for _ in range(MAX_HANDSHAKE_DATAGRAMS + 1):
        dtls.receive(hello, 0.0)
    assert failure_of(dtls) == "the peer sent too much in the handshake"


def test_starting_twice_is_a_programming_error() -> None:
    with pytest.raises(RuntimeError):
        ours(DtlsRole.SERVER).start(0.0)
