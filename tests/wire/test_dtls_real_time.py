"""OpenSSL's own timer runs in real time: after a second it repeats old flights before new ones."""

import time

from sfu.wire.dtls.dtls import Dtls, DtlsRole, DtlsState
from tests.wire.dtls_peers import ours, theirs


class LossyPair:
    """A client and a server.  The network loses the n-th datagram between them."""

    def __init__(self, client: Dtls, server: Dtls, lost: int) -> None:
        self.client, self.server = client, server
        self.lost = lost
        self.sent = 0

    def exchange(self, now: float) -> None:
        while self._move(self.client, self.server, now) | self._move(self.server, self.client, now):
            pass

    def _move(self, sender: Dtls, receiver: Dtls, now: float) -> bool:
        datagrams = sender.datagrams_to_send()
        for datagram in datagrams:
            self.sent += 1
            if self.sent != self.lost:
                receiver.receive(datagram, now)
        return bool(datagrams)

    def let_time_pass(self, now: float) -> None:
        for side in (self.client, self.server):
            side.handle_timer(now)
        self.exchange(now)

    @property
    def connected(self) -> bool:
        return self.client.state is self.server.state is DtlsState.CONNECTED


def test_a_lost_datagram_costs_one_repetition_although_openssl_repeats_too() -> None:
    pairs = [LossyPair(ours(DtlsRole.CLIENT), theirs(DtlsRole.SERVER), lost) for lost in range(1, 5)]
    pairs += [LossyPair(theirs(DtlsRole.CLIENT), ours(DtlsRole.SERVER), lost) for lost in range(1, 5)]
    for pair in pairs:
        pair.exchange(0)
        assert not pair.connected
    time.sleep(1.05)  # the one thing here that cannot be virtual: OpenSSL's own first timeout
    for pair in pairs:
        pair.let_time_pass(1.05)
    assert [pair.connected for pair in pairs] == [True] * len(pairs)
