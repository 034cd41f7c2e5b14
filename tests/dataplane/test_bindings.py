"""The data plane answers the Binding requests that change nothing, as the slow path would."""

from collections.abc import Callable

import pytest

from sfu.dataplane.interface import Path, SlowDatagram, TransportId
from sfu.wire.stun import binding_success, parse_binding_request_untrusted
from tests.dataplane.core_with_clients import Client, Rig
from tests.wire.binding import attribute, message, request, sealed

UFRAG, PASSWORD = "0123456789abcdef", "a password of thirty-two letters"
USERNAME = f"{UFRAG}:them"


class Kept:
    """A transport whose bindings are answered."""

    def __init__(self, path: Path | None = None) -> None:
        self.rig = Rig()
        self.client: Client = self.rig.client(connected=False)
        self.client.path = path or self.client.path
        self.client.connect()
        self.answer()

    def answer(self) -> None:
        self.rig.core.answer_bindings(self.client.transport, UFRAG, PASSWORD)

    def arrive(self, datagram: bytes, path: Path | None = None) -> list[bytes]:
        """What is answered."""
        self.rig.core.receive(datagram, path or self.client.path, self.rig.now)
        answers, self.rig.sent = [sent for _, sent in self.rig.sent], []
        return answers


@pytest.mark.parametrize("path", [Path("192.0.2.7", 4567), Path("2001:db8::7", 4567), Path("fe80::7%3", 4567)])
@pytest.mark.parametrize("nominate", [False, True])
def test_a_request_that_changes_nothing_is_answered_as_the_slow_path_would(path: Path, nominate: bool) -> None:
    kept = Kept(path)
    datagram = request(USERNAME, PASSWORD, nominate=nominate)
    expected = binding_success(parse_binding_request_untrusted(datagram), path.host, path.port, PASSWORD)
    assert kept.arrive(datagram) == [expected]
    assert kept.rig.events() == []
    totals = kept.rig.core.totals()
    assert (totals.packets_in, totals.packets_out, totals.bytes_out) == (1, 1, len(expected))


def test_attributes_that_may_be_ignored_are_and_the_fingerprint_may_be_missing() -> None:
    kept = Kept()
    assert len(kept.arrive(request(USERNAME, PASSWORD, attribute(0xC057, b"cost"), attribute(0x8022, b"browser")))) == 1
    assert len(kept.arrive(request(USERNAME, PASSWORD, attribute(0xC070, bytes(1300))))) == 1
    with_fingerprint = request(USERNAME, PASSWORD)
    raw = with_fingerprint[:2] + (len(with_fingerprint) - 28).to_bytes(2) + with_fingerprint[4:-8]
    assert len(kept.arrive(raw)) == 1


OTHERS: dict[str, Callable[[], bytes]] = {
    "another password": lambda: request(USERNAME, "another password"),
    "another username": lambda: request("someone:them", PASSWORD),
    "a longer username": lambda: request(f"{UFRAG}0:them", PASSWORD),
    "our half alone": lambda: request(UFRAG, PASSWORD),
    "the wrong role": lambda: request(USERNAME, PASSWORD, controlled=True),
    "an attribute that has to be understood": lambda: request(USERNAME, PASSWORD, attribute(0x7FFF, b"")),
    "a priority of three bytes": lambda: request(USERNAME, PASSWORD, attribute(0x0024, b"abc")),
    "a nomination with a value": lambda: request(USERNAME, PASSWORD, attribute(0x0025, b"1234")),
    "two usernames": lambda: request(USERNAME, PASSWORD, attribute(0x0006, USERNAME.encode())),
    "no integrity": lambda: message(attribute(0x0006, USERNAME.encode())),
    "no username": lambda: sealed(message(), PASSWORD),
    "another's indication": lambda: sealed(message(message_type=0x0011, cookie=b"cook"), PASSWORD),
    "a response": lambda: sealed(message(attribute(0x0006, USERNAME.encode()), message_type=0x0101), PASSWORD),
    "another cookie": lambda: sealed(message(attribute(0x0006, USERNAME.encode()), cookie=b"cook"), PASSWORD),
    "a wrong fingerprint": lambda: request(USERNAME, PASSWORD)[:-1] + b"\0",
    "something behind it": lambda: request(USERNAME, PASSWORD) + b"\0\0\0\0",
    "half of it": lambda: request(USERNAME, PASSWORD)[:60],
    "the first byte": lambda: b"\0",
}


@pytest.mark.parametrize("what", OTHERS)
def test_everything_else_is_for_the_slow_path(what: str) -> None:
    kept = Kept()
    datagram = OTHERS[what]()
    assert kept.arrive(datagram) == []
    assert kept.rig.events() == [SlowDatagram(kept.client.path, kept.client.transport, datagram)]


def test_another_path_is_for_the_slow_path_and_so_is_its_nomination() -> None:
    kept = Kept()
    other = Path("192.0.2.99", 1)
    plain, nominating = request(USERNAME, PASSWORD), request(USERNAME, PASSWORD, nominate=True)
    assert kept.arrive(plain, other) == []
    kept.rig.core.add_path(kept.client.transport, other)
    assert len(kept.arrive(plain, other)) == 1
    assert kept.arrive(nominating, other) == []
    kept.rig.core.set_send_path(kept.client.transport, other)
    assert len(kept.arrive(nominating, other)) == 1
    assert len(kept.rig.events()) == 2


def test_a_path_that_is_checked_is_kept_before_those_that_are_not() -> None:
    kept = Kept()
    checked, *others = [Path("192.0.2.99", 1 + number) for number in range(15)]
    for path in (checked, *others):
        kept.rig.core.add_path(kept.client.transport, path)
    assert len(kept.arrive(request(USERNAME, PASSWORD), checked)) == 1
    kept.rig.core.add_path(kept.client.transport, Path("192.0.2.99", 99))
    assert len(kept.arrive(request(USERNAME, PASSWORD), checked)) == 1
    assert kept.arrive(request(USERNAME, PASSWORD), others[0]) == []


def test_bindings_are_handed_up_again_on_request() -> None:
    kept = Kept()
    kept.rig.core.hand_up_bindings(kept.client.transport)
    assert kept.arrive(request(USERNAME, PASSWORD)) == []
    assert len(kept.rig.events()) == 1
    kept.answer()
    assert len(kept.arrive(request(USERNAME, PASSWORD))) == 1


def test_of_a_transport_that_is_gone_nothing_is_answered() -> None:
    kept = Kept()
    kept.rig.core.remove_transport(kept.client.transport)
    assert kept.arrive(request(USERNAME, PASSWORD)) == []
    with pytest.raises(KeyError):
        kept.answer()
    with pytest.raises(KeyError):
        kept.rig.core.hand_up_bindings(TransportId(99))
