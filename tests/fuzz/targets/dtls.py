"""Datagrams that claim to be DTLS, for records alone and for an association in either role."""

from typing import Final

from sfu.wire.dtls.dtls import Dtls, DtlsRole, DtlsState
from sfu.wire.dtls.records import MAX_DATAGRAM, pack, parse_records_untrusted
from sfu.wire.errors import BadDatagram
from tests.wire.dtls_peers import OUR_CONTEXT, THEIRS, events

_MOST_DATAGRAMS: Final = 8
_LARGEST_FLIGHT: Final = 8 * MAX_DATAGRAM


def check(data: bytes) -> None:
    """The first byte chooses the role.  Each datagram stands behind its length, in two bytes."""
    datagrams = list(_datagrams(data[1:]))
    for datagram in datagrams:
        _check_records(datagram)
    dtls = Dtls(OUR_CONTEXT, list(DtlsRole)[data[0] % 2 if data else 0], [THEIRS.fingerprint])
    dtls.start(0.0)
    for now, datagram in enumerate(datagrams):
        before = dtls.state
        try:
            dtls.receive(datagram, float(now))
        except BadDatagram:
            assert dtls.state is before
        sent = dtls.datagrams_to_send()
        assert all(0 < len(one) <= MAX_DATAGRAM for one in sent)
        assert sum(map(len, sent)) <= _LARGEST_FLIGHT
        # Nobody without the key of the certificate gets this far.
        assert dtls.state is not DtlsState.CONNECTED
    assert len(events(dtls)) <= 1
    dtls.close()
    assert dtls.get_timer() is None


def _datagrams(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    while data and len(found) < _MOST_DATAGRAMS:
        size = int.from_bytes(data[:2])
        found.append(data[2 : 2 + size])
        data = data[2 + size :]
    return found


def _check_records(datagram: bytes) -> None:
    try:
        records = parse_records_untrusted(datagram)
    except BadDatagram:
        return
    assert b"".join(record.raw for record in records) == datagram
    assert all(record.raw == record.renumbered(int.from_bytes(record.raw[5:11])) for record in records)
    packed = pack(records)
    assert b"".join(packed) == datagram
    assert [record for part in packed for record in parse_records_untrusted(part)] == records
