"""DTLS 1.2 for one transport, in either role, under the caller's clock (RFC 6347, RFC 5764).

OpenSSL does the cryptography on memory BIOs.  The clock is ours (:mod:`sfu.wire.dtls.flight`), and so is the choice of
the records that reach OpenSSL.  During the handshake these are records that may be part of it.  Afterwards, if OpenSSL
is still there, they are encrypted alerts and data.  Later handshake messages never reach it, so that nobody can
renegotiate.

OpenSSL holds some 90 kB for each association, more than everything else of a client.  So we free it after the
handshake.  Our close_notify is written by then, and :mod:`sfu.wire.dtls.alerts` reads the peer's.
"""

from collections.abc import Sequence
from typing import Final

from OpenSSL import SSL

from sfu.parameters import DtlsFingerprint
from sfu.wire.certificate import usable_fingerprints
from sfu.wire.dtls.alerts import CLOSE_NOTIFY, AlertReader
from sfu.wire.dtls.context import DtlsContext, PeerCheck
from sfu.wire.dtls.events import DtlsClosed, DtlsConnected, DtlsEvent, DtlsFailed, DtlsRole, DtlsState
from sfu.wire.dtls.flight import MAX_RESENDS, Flight
from sfu.wire.dtls.records import (
    ALERT,
    APPLICATION_DATA,
    Record,
    is_plausible_untrusted,
    pack,
    parse_records_untrusted,
)
from sfu.wire.errors import BadDatagram
from sfu.wire.srtp import EXPORTER_LABEL, SrtpProfile, srtp_keys

__all__ = [
    "Dtls",
    "DtlsClosed",
    "DtlsConnected",
    "DtlsContext",
    "DtlsEvent",
    "DtlsFailed",
    "DtlsRole",
    "DtlsState",
]

MAX_HANDSHAKE_DATAGRAMS: Final = 400
MAX_HANDSHAKE_BYTES: Final = 256 * 1024
"""Limits of one handshake, for the datagrams of the peer.  A clean network needs six datagrams and some 4 KiB."""

_FROM_CLIENT: Final = frozenset({1, 11, 15, 16, 20})
_FROM_SERVER: Final = frozenset({2, 3, 4, 11, 12, 13, 14, 20, 22})
"""Types of handshake messages by their sender (RFC 5246 section 7.4, RFC 6347 section 4.3.2)."""

_READ_SIZE: Final = 65536


class Dtls:
    """One DTLS association.

    Each call may leave datagrams and events.  Take them with :meth:`datagrams_to_send` and :meth:`next_event`, and ask
    :meth:`get_timer` again.
    """

    def __init__(self, context: DtlsContext, role: DtlsRole, fingerprints: Sequence[DtlsFingerprint]) -> None:
        """``fingerprints`` are the peer's.  Raises ``ValueError`` if we can check none of them."""
        self._role = role
        self._state = DtlsState.NEW
        self._check = PeerCheck(usable_fingerprints(fingerprints))
        self._connection: SSL.Connection | None = context.connection(self._check, is_client=role is DtlsRole.CLIENT)
        self._flight = Flight()
        self._outgoing: list[bytes] = []
        self._events: list[DtlsEvent] = []
        self._alerts: AlertReader | None = None
        self._close_notify: list[bytes] = []
        self._datagrams_in = 0
        self._bytes_in = 0
        # Plain-text records that OpenSSL got so far; see `_renumbered`.
        self._plain_records = 0
        # The highest number of the peer's handshake messages, and of those that our newest flight answers.
        self._highest_message = -1
        self._highest_answered = -1

    @property
    def state(self) -> DtlsState:
        return self._state

    def start(self, now: float) -> None:
        """Send the first flight as a client, or await it as a server.  Call it once, before anything else."""
        if self._state is not DtlsState.NEW:
            raise RuntimeError("DTLS was started before")
        self._state = DtlsState.CONNECTING
        if self._role is DtlsRole.CLIENT:
            self._shake_hands(now)

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a datagram of the peer.

        Raises ``BadDatagram`` for a datagram that cannot be DTLS of this association, which stays as it was.  An
        association that failed or closed ignores every datagram.
        """
        records = parse_records_untrusted(datagram)
        if self._state is DtlsState.CONNECTING:
            self._receive_handshake_untrusted(records, now)
        elif self._state is DtlsState.CONNECTED:
            self._receive_connected_untrusted(records, now)

    def get_timer(self) -> float | None:
        """When to call :meth:`handle_timer`, in the seconds of ``now``; None for never."""
        return self._flight.resend_at

    def handle_timer(self, now: float) -> None:
        """Resend an unanswered flight that is due (RFC 6347 section 4.2.4)."""
        if self._flight.resend_at is None or now < self._flight.resend_at:
            return
        if self._flight.resends == MAX_RESENDS:
            self._fail("the peer does not answer")
        else:
            self._outgoing += self._flight.resend(now)

    def datagrams_to_send(self) -> list[bytes]:
        """Take the datagrams to send now, in order; each has at most 1,200 bytes."""
        datagrams, self._outgoing = self._outgoing, []
        return datagrams

    def next_event(self) -> DtlsEvent | None:
        """Take the oldest event."""
        return self._events.pop(0) if self._events else None

    def close(self) -> None:
        """End it.  A connected association leaves a close_notify to send.  The second call does nothing."""
        if self._state is DtlsState.CONNECTED:
            self._send_close_notify()
        if self._state is not DtlsState.FAILED:
            self._end(DtlsState.CLOSED)

    def _receive_handshake_untrusted(self, records: list[Record], now: float) -> None:
        messages = _FROM_SERVER if self._role is DtlsRole.CLIENT else _FROM_CLIENT
        plausible = [record for record in records if is_plausible_untrusted(record, messages)]
        if not plausible:
            raise BadDatagram("no part of a handshake")
        self._datagrams_in += 1
        self._bytes_in += sum(len(record.raw) for record in plausible)
        if self._datagrams_in > MAX_HANDSHAKE_DATAGRAMS or self._bytes_in > MAX_HANDSHAKE_BYTES:
            self._fail("the peer sent too much in the handshake")
            return
        numbers = [record.message_sequence for record in plausible if record.message_sequence is not None]
        repeated = any(number <= self._highest_answered for number in numbers)
        self._highest_message = max(self._highest_message, *numbers, -1)
        self._open_connection.bio_write(b"".join(self._renumbered(record) for record in plausible))
        self._shake_hands(now)
        if repeated:
            # The peer repeats messages that our flight has answered, so that flight was lost.  Repeat it now, and do
            # not wait for our timer: a browser's is far shorter (RFC 6347 section 4.2.4, "WAITING").
            self._outgoing += self._flight.repeat(now)

    def _renumbered(self, record: Record) -> bytes:
        """The record.  A plain-text record gets a sequence number that can do no harm.

        OpenSSL applies its replay window to plain text as well.  After one forged high number it would take all later
        records for old ones.  After a message that came too early, it would take the repetition for a replay.  So we
        number plain records as they come.  The handshake messages inside have numbers of their own.
        """
        if record.epoch != 0:
            return record.raw
        self._plain_records += 1
        return record.renumbered(self._plain_records)

    def _receive_connected_untrusted(self, records: list[Record], now: float) -> None:
        encrypted = [each for each in records if each.epoch == 1 and each.content_type in (ALERT, APPLICATION_DATA)]
        if self._alerts is not None:
            self._read_alerts_untrusted(self._alerts, encrypted)
        elif encrypted:
            self._open_connection.bio_write(b"".join(record.raw for record in encrypted))
            self._read_connection()
        if len(encrypted) < len(records):
            self._outgoing += self._flight.repeat(now)

    def _shake_hands(self, now: float) -> None:
        try:
            self._open_connection.do_handshake()
        except SSL.WantReadError:
            self._send_flight(now)
        except SSL.Error as error:
            self._fail("the peer's certificate has another fingerprint" if self._check.failed else _text(error))
        else:
            self._finish_handshake(now)

    def _finish_handshake(self, now: float) -> None:
        round_trip = self._flight.since(now)
        self._send_flight(now)
        # The server sends the last flight, since there is no resumption.  So only the server repeats its last flight.
        # If the client did so as well, a single duplicated datagram would make both sides answer each other for ever.
        self._flight.finish(keep=self._role is DtlsRole.SERVER)
        if not self._check.passed:  # for example, because the peer resumed a session
            self._fail("the peer showed no certificate")
            return
        name = self._open_connection.get_selected_srtp_profile().decode()
        if not name:
            self._send_close_notify()
            self._fail("no SRTP profile in common")
            return
        profile = SrtpProfile(name)
        material = self._open_connection.export_keying_material(EXPORTER_LABEL, profile.keying_material_length)
        keys = srtp_keys(profile, material, is_client=self._role is DtlsRole.CLIENT)
        self._state = DtlsState.CONNECTED
        self._events.append(DtlsConnected(keys, round_trip))
        self._read_connection()
        if self._state is DtlsState.CONNECTED:
            self._free_openssl()

    def _free_openssl(self) -> None:
        """Free OpenSSL's memory.  Keep our close_notify, and the reader of the peer's alerts."""
        self._alerts = AlertReader.of(self._open_connection, is_client=self._role is DtlsRole.CLIENT)
        if self._alerts is not None:
            self._close_notify = self._write_close_notify()
            self._connection = None

    def _read_alerts_untrusted(self, alerts: AlertReader, records: list[Record]) -> None:
        for record in records:
            if (why := alerts.ending_untrusted(record)) is not None:
                if why == CLOSE_NOTIFY:
                    self._send_close_notify()
                self._closed_by_peer(why)
                return

    def _read_connection(self) -> None:
        """Decrypt the waiting records to find alerts.  Drop data: nothing here runs over DTLS but its handshake."""
        try:
            while True:
                self._open_connection.recv(_READ_SIZE)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._send_close_notify()
            self._closed_by_peer(CLOSE_NOTIFY)
        except SSL.Error as error:
            self._closed_by_peer(_text(error))

    def _send_flight(self, now: float) -> None:
        records = self._take_written()
        if records and (datagrams := self._flight.begin(records, now)):
            self._outgoing += datagrams
            self._highest_answered = self._highest_message

    def _send_close_notify(self) -> None:
        self._outgoing += self._write_close_notify() if self._alerts is None else self._close_notify

    def _write_close_notify(self) -> list[bytes]:
        try:
            self._open_connection.shutdown()
        except SSL.Error:
            return []
        return pack(self._take_written())

    def _take_written(self) -> list[Record]:
        written = b""
        try:
            while True:
                written += self._open_connection.bio_read(_READ_SIZE)
        except SSL.WantReadError:
            return parse_records_untrusted(written) if written else []

    def _fail(self, reason: str) -> None:
        self._outgoing += pack(self._take_written())
        self._events.append(DtlsFailed(reason))
        self._end(DtlsState.FAILED)

    def _closed_by_peer(self, reason: str) -> None:
        self._events.append(DtlsClosed(reason))
        self._end(DtlsState.CLOSED)

    def _end(self, state: DtlsState) -> None:
        self._state = state
        self._flight.finish(keep=False)
        self._connection = None

    @property
    def _open_connection(self) -> SSL.Connection:
        assert self._connection is not None, "used after its end"
        return self._connection


def _text(error: SSL.Error) -> str:
    """OpenSSL's reasons for an error in one line, or our words if it gives none."""
    queue = error.args[0] if error.args else ()
    reasons = dict.fromkeys(str(entry[-1]) for entry in queue)
    return "; ".join(reasons) or "refused by OpenSSL"
