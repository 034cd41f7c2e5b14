"""The data plane answers the Binding requests that change nothing, as the slow path would, and notices their end."""

from collections.abc import Callable
from itertools import permutations

import pytest

from sfu.dataplane.interface import FellSilent, Path, SlowDatagram, TransportId
from sfu.wire.stun import binding_success, parse_binding_request_untrusted
from tests.dataplane.rig import Client, Rig
from tests.wire.binding import attribute, message, request, sealed

UFRAG, PASSWORD = "0123456789abcdef", "a password of thirty-two letters"
USERNAME = f"{UFRAG}:them"
SILENT_AFTER = 7.0


class Kept:
    """A transport whose bindings are answered."""

    def __init__(self, path: Path | None = None) -> None:
        self.rig = Rig()
        self.client: Client = self.rig.client(connected=False)
        self.client.path = path or self.client.path
        self.client.connect()
        self.answer()

    def answer(self) -> None:
        self.rig.core.answer_bindings(self.client.transport, UFRAG, PASSWORD, self.rig.now, SILENT_AFTER)

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


def test_silence_is_told_once_when_it_is_due_and_requests_come_up_again() -> None:
    kept = Kept()
    began = kept.rig.now
    assert kept.rig.core.get_timer() == began + SILENT_AFTER
    for _ in range(3):
        kept.rig.now += 5
        kept.rig.core.handle_timer(kept.rig.now)
        assert len(kept.arrive(request(USERNAME, PASSWORD))) == 1
        assert kept.rig.events() == []
    kept.rig.now = began + 15 + SILENT_AFTER - 0.001
    kept.rig.core.handle_timer(kept.rig.now)
    assert kept.rig.events() == []
    assert kept.rig.core.get_timer() == began + 15 + SILENT_AFTER
    kept.rig.now = began + 15 + SILENT_AFTER
    kept.rig.core.handle_timer(kept.rig.now)
    assert kept.rig.events() == [FellSilent(kept.client.transport, began + 15)]
    kept.rig.core.handle_timer(kept.rig.now + 100)
    assert kept.rig.events() == []
    assert kept.rig.core.get_timer() is None
    assert kept.arrive(request(USERNAME, PASSWORD)) == []
    assert len(kept.rig.events()) == 1


def test_a_silence_that_ended_before_it_was_told_is_none() -> None:
    """A request that came up shortly before it was due, and is acted on shortly after."""
    kept = Kept()
    kept.rig.now += SILENT_AFTER
    kept.rig.core.handle_timer(kept.rig.now)
    kept.answer()
    assert kept.rig.events() == []
    assert len(kept.arrive(request(USERNAME, PASSWORD))) == 1
    kept.rig.core.handle_timer(kept.rig.now + SILENT_AFTER)
    assert kept.rig.events() == [FellSilent(kept.client.transport, kept.rig.now)]


def test_silence_is_counted_from_the_newest_request_whoever_answered_it_first() -> None:
    kept = Kept()
    kept.rig.now += 3
    kept.arrive(request(USERNAME, PASSWORD))
    kept.rig.core.answer_bindings(kept.client.transport, UFRAG, PASSWORD, kept.rig.now - 1, SILENT_AFTER)
    assert kept.rig.core.hand_up_bindings(kept.client.transport) == kept.rig.now


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_who_is_first_to_fall_silent_is_told_first(order: tuple[int, ...]) -> None:
    rig = Rig()
    transports = [rig.client().transport for _ in order]
    for number in order:
        rig.core.answer_bindings(transports[number], UFRAG, PASSWORD, rig.now - number, SILENT_AFTER)
    told = []
    while (timer := rig.core.get_timer()) is not None:
        rig.core.handle_timer(timer)
        told += rig.events()
    assert told == [FellSilent(TransportId(3 - number), rig.now - (2 - number)) for number in (0, 1, 2)]


def test_bindings_are_handed_up_again_on_request_with_when_the_newest_came() -> None:
    kept = Kept()
    kept.rig.now += 3
    kept.arrive(request(USERNAME, PASSWORD))
    assert kept.rig.core.hand_up_bindings(kept.client.transport) == kept.rig.now
    assert kept.arrive(request(USERNAME, PASSWORD)) == []
    assert len(kept.rig.events()) == 1
    kept.rig.core.handle_timer(kept.rig.now + 100)
    assert kept.rig.events() == []
    assert Rig().client(connected=False).rig.core.hand_up_bindings(TransportId(1)) is None


def test_of_a_transport_that_is_gone_no_silence_is_told() -> None:
    kept = Kept()
    kept.rig.core.handle_timer(kept.rig.now + SILENT_AFTER)
    kept.rig.core.remove_transport(kept.client.transport)
    assert kept.rig.events() == []
    with pytest.raises(KeyError):
        kept.answer()
    with pytest.raises(KeyError):
        kept.rig.core.hand_up_bindings(kept.client.transport)
