"""The data plane answers Binding requests as an ICE-lite agent does, and selects the path to send on."""

from collections.abc import Callable

import pytest
from aioice import stun

from sfu.dataplane.interface import DropReason, Path, TransportId
from sfu.dataplane.values import DtlsArrived, PathSelected
from tests.dataplane.core_with_clients import PASSWORD, Client, Rig, username_fragment
from tests.wire.binding import attribute, message, refusal, request, sealed

UFRAG = username_fragment(TransportId(1))
USERNAME = f"{UFRAG}:them"


class Agent:
    """A transport with credentials."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.client: Client = self.rig.client(connected=False)
        self.checks: list[bytes] = []

    def arrive(self, datagram: bytes, path: Path | None = None) -> list[bytes]:
        """The answers to the address that the datagram came from.  ``checks`` gets the checks of the plane."""
        path = path or self.client.path
        self.rig.core.receive(datagram, path, self.rig.now)
        assert {to for to, _ in self.rig.sent} <= {path}
        answers, self.rig.sent = [sent for _, sent in self.rig.sent], []
        self.checks += [sent for sent in answers if sent[:2] == b"\0\1"]
        return [sent for sent in answers if sent[:2] != b"\0\1"]

    def answered(self, datagram: bytes, path: Path | None = None, password: str = PASSWORD) -> stun.Message:
        """The only answer, read by another implementation."""
        [answer] = self.arrive(datagram, path)
        parsed = stun.parse_message(answer)
        assert parsed.check_message_integrity(password.encode())
        assert "FINGERPRINT" in parsed.attributes
        assert parsed.transaction_id == datagram[8:20]
        return parsed


@pytest.mark.parametrize("path", [Path("192.0.2.7", 4567), Path("2001:db8::7", 4567), Path("fe80::7%3", 4567)])
@pytest.mark.parametrize("nominate", [False, True])
def test_an_authentic_request_is_answered_with_its_own_address(path: Path, nominate: bool) -> None:
    agent = Agent()
    answer = agent.answered(request(USERNAME, PASSWORD, nominate=nominate), path)
    assert answer.message_class is stun.Class.RESPONSE
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == (path.host.partition("%")[0], path.port)
    assert agent.rig.core.take_events() == [PathSelected(agent.client.transport, path)]
    totals = agent.rig.core.totals()
    assert (totals.packets_in, totals.packets_out, totals.paths) == (1, 1, 1)


def test_optional_attributes_are_ignored_and_the_fingerprint_is_optional() -> None:
    agent = Agent()
    agent.answered(request(USERNAME, PASSWORD, attribute(0xC057, b"cost"), attribute(0x8022, b"browser")))
    agent.answered(request(USERNAME, PASSWORD, attribute(0xC070, bytes(1300))))
    with_fingerprint = request(USERNAME, PASSWORD)
    agent.answered(with_fingerprint[:2] + (len(with_fingerprint) - 28).to_bytes(2) + with_fingerprint[4:-8])


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (request(USERNAME, PASSWORD, controlled=True, nominate=True), 487),
        (request(USERNAME, PASSWORD, attribute(0x7F01, b"?")), 420),
    ],
    ids=["the wrong role", "an attribute that has to be understood"],
)
def test_a_refused_request_gets_an_error_and_adds_no_path(datagram: bytes, code: int) -> None:
    agent = Agent()
    assert agent.answered(datagram).error_code == code
    assert agent.rig.core.take_events() == []
    assert agent.rig.core.totals().paths == 0
    assert agent.rig.core.heard_at(agent.client.transport) == agent.rig.now


BAD: dict[str, tuple[DropReason, Callable[[], bytes]]] = {
    "another password": (DropReason.WRONG_PASSWORD, lambda: request(USERNAME, "another password")),
    "another username": (DropReason.UNKNOWN_USERNAME, lambda: request("someone:them", PASSWORD)),
    "a longer username": (DropReason.UNKNOWN_USERNAME, lambda: request(f"{UFRAG}0:them", PASSWORD)),
    "our half alone": (DropReason.MALFORMED_STUN, lambda: request(UFRAG, PASSWORD)),
    "a priority of three bytes": (
        DropReason.MALFORMED_STUN,
        lambda: request(USERNAME, PASSWORD, attribute(0x0024, b"abc")),
    ),
    "two usernames": (
        DropReason.MALFORMED_STUN,
        lambda: request(USERNAME, PASSWORD, attribute(0x0006, USERNAME.encode())),
    ),
    "no integrity": (DropReason.MALFORMED_STUN, lambda: message(attribute(0x0006, USERNAME.encode()))),
    "no username": (DropReason.MALFORMED_STUN, lambda: sealed(message(), PASSWORD)),
    "an indication from elsewhere": (DropReason.UNEXPECTED_STUN, lambda: message(message_type=0x0011)),
    "a response that nobody asked for": (
        DropReason.UNEXPECTED_STUN,
        lambda: sealed(message(attribute(0x0006, USERNAME.encode()), message_type=0x0101), PASSWORD),
    ),
    "another cookie": (
        DropReason.MALFORMED_STUN,
        lambda: sealed(message(attribute(0x0006, USERNAME.encode()), cookie=b"cook"), PASSWORD),
    ),
    "a wrong fingerprint": (DropReason.MALFORMED_STUN, lambda: request(USERNAME, PASSWORD)[:-1] + b"\0"),
    "something behind it": (DropReason.MALFORMED_STUN, lambda: request(USERNAME, PASSWORD) + b"\0\0\0\0"),
    "half of it": (DropReason.MALFORMED_STUN, lambda: request(USERNAME, PASSWORD)[:60]),
    "the first byte": (DropReason.MALFORMED_STUN, lambda: b"\0"),
}


@pytest.mark.parametrize("what", BAD)
def test_every_other_message_is_counted_and_not_answered(what: str) -> None:
    agent = Agent()
    reason, make = BAD[what]
    assert agent.arrive(make()) == []
    assert agent.rig.dropped() == {reason: 1}
    assert agent.rig.core.take_events() == []
    assert agent.rig.core.heard_at(agent.client.transport) is None


def test_the_first_path_is_selected_until_another_is_nominated_and_answers() -> None:
    agent = Agent()
    first, other = agent.client.path, Path("192.0.2.99", 1)
    agent.answered(request(USERNAME, PASSWORD), first)
    assert agent.rig.core.take_events() == [PathSelected(agent.client.transport, first)]
    agent.answered(request(USERNAME, PASSWORD), other)
    agent.answered(request(USERNAME, PASSWORD, nominate=True), other)
    assert agent.rig.core.take_events() == []
    [check] = agent.checks
    parsed = stun.parse_message(check)
    assert (parsed.message_class, parsed.message_method) == (stun.Class.REQUEST, stun.Method.BINDING)
    assert list(parsed.attributes) == ["FINGERPRINT"]
    agent.arrive(refusal(check), other)
    assert agent.rig.core.take_events() == [PathSelected(agent.client.transport, other)]
    # The first path was never checked, and is still alive.
    agent.answered(request(USERNAME, PASSWORD, nominate=True), first)
    assert agent.rig.core.take_events() == []
    agent.arrive(refusal(agent.checks[1]), first)
    assert agent.rig.core.take_events() == [PathSelected(agent.client.transport, first)]
    assert agent.rig.dropped() == {}


def test_dtls_is_accepted_from_a_path_before_its_event_is_taken() -> None:
    """A client sends DTLS as soon as it has the answer to its check."""
    agent = Agent()
    agent.answered(request(USERNAME, PASSWORD))
    agent.arrive(b"\x16\xfe\xfd\x00")
    transport = agent.client.transport
    assert agent.rig.core.take_events() == [
        PathSelected(transport, agent.client.path),
        DtlsArrived(transport, b"\x16\xfe\xfd\x00"),
    ]


def test_a_path_with_recent_checks_is_kept_longer_than_others() -> None:
    agent = Agent()
    checked, *others = [Path("192.0.2.99", 1 + number) for number in range(17)]
    for path in (agent.client.path, checked, *others[:14], checked, *others[14:]):
        agent.answered(request(USERNAME, PASSWORD), path)
    # The data plane keeps the selected path, here the first one, and the newest 15. It forgets the oldest of the
    # others.
    hint = message(message_type=0x0011)
    for path in (agent.client.path, checked, others[0]):
        agent.arrive(hint, path)
    assert agent.rig.dropped() == {DropReason.UNEXPECTED_STUN: 1}


def test_old_credentials_stay_valid_after_a_restart_until_the_new_ones_are_used() -> None:
    agent = Agent()
    core, transport = agent.rig.core, agent.client.transport
    agent.answered(request(USERNAME, PASSWORD))
    core.set_credentials(transport, "new", "another password of 32 letters!!")
    assert core.totals().usernames == 2
    agent.answered(request(USERNAME, PASSWORD))
    new = request("new:them", "another password of 32 letters!!")
    agent.answered(new, password="another password of 32 letters!!")
    assert core.totals().usernames == 1
    assert agent.arrive(request(USERNAME, PASSWORD)) == []
    assert agent.rig.dropped() == {DropReason.UNKNOWN_USERNAME: 1}


def test_a_username_fragment_belongs_to_one_transport() -> None:
    agent = Agent()
    other = agent.rig.client(connected=False)
    with pytest.raises(ValueError, match="in use"):
        agent.rig.core.set_credentials(other.transport, UFRAG, "x")
    with pytest.raises(KeyError):
        agent.rig.core.set_credentials(TransportId(99), "new", "x")
    agent.answered(request(USERNAME, PASSWORD))


def test_no_request_is_answered_for_a_removed_transport() -> None:
    agent = Agent()
    agent.rig.core.remove_transport(agent.client.transport)
    assert agent.arrive(request(USERNAME, PASSWORD)) == []
    assert agent.rig.dropped() == {DropReason.UNKNOWN_USERNAME: 1}
    assert agent.rig.core.totals().usernames == 0
    with pytest.raises(KeyError):
        agent.rig.core.set_credentials(agent.client.transport, "new", "x")
