"""Host names in place of addresses: looked up at the start, and again and again if they are announced."""

import socket

import attrs
import pytest
import structlog.testing
import trio
from trio.testing import MockClock

import sfu
from sfu.hostnames import MOST_ANSWERS
from tests.media.conftest import Notices

SETTINGS = sfu.MediaSettings(port=0, announce=("home.example",))
Answer = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int]]


class NameServer(trio.abc.HostnameResolver):
    """A name server that answers with addresses, with an error, or (None) never."""

    def __init__(self, *addresses: str) -> None:
        self.answer: list[str] | OSError | None = list(addresses)
        self.asked = 0

    async def getaddrinfo(self, *_: object, **__: object) -> list[Answer]:  # type: ignore[override]
        self.asked += 1
        await trio.lowlevel.checkpoint()
        if self.answer is None:
            await trio.sleep_forever()
        if isinstance(self.answer, OSError):
            raise self.answer
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (each, 0)) for each in self.answer or []]

    async def getnameinfo(self, *_: object) -> tuple[str, str]:
        raise NotImplementedError


@pytest.fixture
async def name_server() -> NameServer:
    await trio.lowlevel.checkpoint()
    server = NameServer("203.0.113.5")
    # Trio keeps the resolver for the present run alone.  So this fixture is async, and runs inside of the test's run.
    trio.socket.set_custom_hostname_resolver(server)
    await trio.lowlevel.checkpoint()
    return server


def announced(router: sfu.Router) -> list[str]:
    return [candidate.address for candidate in router.context.candidates]


async def test_a_new_transport_gets_the_current_addresses_of_the_name(
    name_server: NameServer, autojump_clock: MockClock
) -> None:
    async with sfu.open_router(SETTINGS) as router, sfu.open_peer(router, Notices(), name="ada") as ada:
        before = ada.create_transport("send").ice_candidates
        assert [(each.address, each.port) for each in before] == [("203.0.113.5", router.context.addresses[0][1])]
        name_server.answer = ["203.0.113.99"]
        with structlog.testing.capture_logs() as logs:
            await trio.sleep(61)
        assert [each.address for each in ada.create_transport("receive").ice_candidates] == ["203.0.113.99"]
        [line] = logs
        assert (line["name"], line["addresses"], line["were"]) == ("home.example", ("203.0.113.99",), ("203.0.113.5",))


async def test_a_bounded_number_of_addresses_of_both_families_is_announced(
    name_server: NameServer, autojump_clock: MockClock
) -> None:
    name_server.answer = ["2001:db8::5", "203.0.113.5", "203.0.113.6"]
    async with sfu.open_router(SETTINGS) as router:
        assert announced(router) == ["2001:db8::5", "203.0.113.5", "203.0.113.6"]
    name_server.answer = [f"203.0.113.{number}" for number in range(1, 100)]
    async with sfu.open_router(SETTINGS) as router:
        assert len(announced(router)) == MOST_ANSWERS


async def test_a_changed_order_of_answers_changes_nothing(name_server: NameServer, autojump_clock: MockClock) -> None:
    name_server.answer = ["203.0.113.5", "203.0.113.6"]
    async with sfu.open_router(SETTINGS) as router:
        name_server.answer = ["203.0.113.6", "203.0.113.5"]
        with structlog.testing.capture_logs() as logs:
            await trio.sleep(61)
        assert (announced(router), logs) == (["203.0.113.5", "203.0.113.6"], [])


@pytest.mark.parametrize("trouble", [socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), None])
async def test_a_failed_look_up_keeps_the_last_answer_and_is_logged_once(
    name_server: NameServer, autojump_clock: MockClock, trouble: OSError | None
) -> None:
    async with sfu.open_router(SETTINGS) as router:
        name_server.answer = trouble
        with structlog.testing.capture_logs() as logs:
            await trio.sleep(700)
            assert name_server.asked > 10
            assert announced(router) == ["203.0.113.5"]
            name_server.answer = ["203.0.113.7"]
            await trio.sleep(70)
        assert announced(router) == ["203.0.113.7"]
        warning, info = logs
        assert (warning["log_level"], info["log_level"]) == ("warning", "info")
        assert "home.example" in warning["event"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "cannot be resolved: Name or service not known",
        ),
        (None, "was not resolved within 5 s"),
        ([], "has no address that anybody could send to"),
        (["0.0.0.0", "fe80::1", "224.0.0.1"], "has no address that anybody could send to"),
    ],
)
async def test_the_error_names_a_name_without_address_at_the_start(
    name_server: NameServer, autojump_clock: MockClock, answer: list[str] | OSError | None, why: str
) -> None:
    name_server.answer = answer
    with pytest.raises(sfu.BadAnnouncement, match=f"'home.example' {why}"):
        async with sfu.open_router(SETTINGS):
            pass
    with pytest.raises(sfu.BadAddress, match=f"'home.example' {why}"):
        async with sfu.open_router(sfu.MediaSettings(port=0, hosts=("home.example",))):
            pass


async def test_a_loopback_answer_is_announced_only_without_any_other(
    name_server: NameServer, autojump_clock: MockClock
) -> None:
    name_server.answer = ["127.0.1.1", "203.0.113.5"]
    async with sfu.open_router(SETTINGS) as router:
        assert announced(router) == ["203.0.113.5"]
    name_server.answer = ["127.0.1.1"]
    async with sfu.open_router(SETTINGS) as router:
        assert announced(router) == ["127.0.1.1"]


async def test_addresses_beside_names_do_not_change(name_server: NameServer, autojump_clock: MockClock) -> None:
    settings = attrs.evolve(SETTINGS, announce=("198.51.100.9", "home.example", "198.51.100.9"))
    async with sfu.open_router(settings) as router:
        name_server.answer = ["203.0.113.8"]
        await trio.sleep(61)
        assert announced(router) == ["198.51.100.9", "203.0.113.8"]


async def test_the_router_listens_on_those_addresses_of_a_name_that_the_machine_has(
    name_server: NameServer, autojump_clock: MockClock
) -> None:
    name_server.answer = ["127.0.0.1", "127.0.0.2"]
    async with sfu.open_router(sfu.MediaSettings(port=0, hosts=("localhost",))) as router:
        assert [host for host, _ in router.context.addresses] == ["127.0.0.1", "127.0.0.2"]
    name_server.answer = ["2001:db8:dead::1", "127.0.0.1"]
    async with sfu.open_router(sfu.MediaSettings(port=0, hosts=("localhost",))) as router:
        assert [host for host, _ in router.context.addresses] == ["127.0.0.1"]
