"""Addresses of the machine come and go while the router is open, in a network namespace of the test."""

import socket
from collections.abc import Callable, Iterator

import attrs
import pytest
import structlog.testing
import trio

import sfu
from tests.eventually import eventually
from tests.media.conftest import Connect, Notices
from tests.media.rtp import Rtp, opus, read
from tests.media.test_addresses import has_ipv6
from tools.namespaces import configure, new_namespaces, why_not

SETTINGS = sfu.MediaSettings(hosts=("0.0.0.0",), port=0, address_interval=0.05)


@pytest.fixture
def ip() -> Iterator[Callable[[str], str]]:
    """Runs ``ip`` in a namespace with loopback alone.  The test's thread stays in it for the whole test."""
    if (why := why_not()) is not None:
        pytest.skip(why)
    with new_namespaces(1):

        def ip(arguments: str) -> str:
            return configure("ip", *arguments.split())

        ip("link set lo up")
        yield ip


def announced(router: sfu.Router) -> list[str]:
    return [candidate.address for candidate in router.context.candidates]


async def test_a_new_address_is_announced_to_new_transports_and_carries_a_call(
    ip: Callable[[str], str], connect: Connect
) -> None:
    async with (
        sfu.open_router(SETTINGS) as router,
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, Notices(), name="bob") as bob,
    ):
        assert announced(router) == ["127.0.0.1"]
        old = router.context.addresses[0]
        with structlog.testing.capture_logs() as logs:
            ip("address add 192.0.2.7/24 dev lo")
            await eventually(lambda: announced(router) == ["192.0.2.7"])
        assert [(line["event"], line["address"]) for line in logs] == [("address found", "192.0.2.7")]
        assert router.context.addresses == (old, ("192.0.2.7", old[1]))
        # Existing media goes on: one client uses the old address, the other the new one.
        async with (
            connect(ada, "send", address=old) as (sending, microphone),
            connect(bob, "receive", address=router.context.addresses[1]) as (receiving, speaker),
        ):
            producer = ada.produce(sending.id, "audio", opus(1111))
            bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
            microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 1111, b"hello")))
            microphone.send()
            await speaker.until(lambda: speaker.transport.rtp)
            assert read(speaker.transport.rtp[0]).payload == b"hello"


async def test_a_removed_address_is_no_longer_announced_and_its_socket_closes(ip: Callable[[str], str]) -> None:
    ip("address add 192.0.2.7/24 dev lo")
    ip("address add 198.51.100.7/24 dev lo")
    async with sfu.open_router(SETTINGS) as router:
        assert announced(router) == ["192.0.2.7", "198.51.100.7"]
        number = router.context.addresses[0][1]
        with structlog.testing.capture_logs() as logs:
            ip("address delete 192.0.2.7/24 dev lo")
            await eventually(lambda: announced(router) == ["198.51.100.7"])
        assert [(line["event"], line["address"]) for line in logs] == [("address gone", "192.0.2.7")]
        ip("address delete 198.51.100.7/24 dev lo")
        await eventually(lambda: announced(router) == ["127.0.0.1"])
        ip("address add 192.0.2.7/24 dev lo")
        await eventually(lambda: announced(router) == ["192.0.2.7"])
        assert {host for host, _ in router.context.addresses} == {"127.0.0.1", "192.0.2.7"}
        assert {each for _, each in router.context.addresses} == {number}
        ip("address add 198.51.100.7/24 dev lo")
        await eventually(lambda: len(router.context.addresses) == 3)


async def test_a_call_survives_a_short_absence_of_its_address(ip: Callable[[str], str], connect: Connect) -> None:
    ip("address add 192.0.2.7/24 dev lo")
    async with (
        sfu.open_router(SETTINGS) as router,
        sfu.open_peer(router, Notices(), name="ada") as ada,
        connect(ada, "send") as (sending, microphone),
    ):
        producer = ada.produce(sending.id, "audio", opus(1111))
        ip("address delete 192.0.2.7/24 dev lo")
        await eventually(lambda: announced(router) == ["127.0.0.1"])
        ip("address add 192.0.2.7/24 dev lo")
        ip("address add 198.51.100.7/24 dev lo")
        await eventually(lambda: len(router.context.addresses) == 3)
        microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 1111, b"still here")))
        microphone.send()
        await eventually(lambda: producer.encoding_stats()[0].packets == 1)


async def test_an_address_with_an_occupied_port_is_retried_and_logged_once(ip: Callable[[str], str]) -> None:
    async with sfu.open_router(SETTINGS) as router:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            ip("address add 192.0.2.7/24 dev lo")
            taken.bind(("192.0.2.7", 0))
            number = taken.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            assert number != router.context.addresses[0][1]
            ip("address add 198.51.100.7/24 dev lo")
            with structlog.testing.capture_logs() as logs:
                taken.bind(("198.51.100.7", router.context.addresses[0][1]))
                await eventually(lambda: "192.0.2.7" in announced(router) and len(logs) >= 2)
                await trio.sleep(0.3)
            assert announced(router) == ["192.0.2.7"]
            assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
                "cannot listen on 198.51.100.7: Address already in use"
            ]
        await eventually(lambda: announced(router) == ["192.0.2.7", "198.51.100.7"])


async def test_a_router_without_any_address_waits_for_a_new_one(ip: Callable[[str], str]) -> None:
    if not has_ipv6():
        pytest.skip("no IPv6 here")
    async with sfu.open_router(attrs.evolve(SETTINGS, hosts=("::",))) as router:
        assert announced(router) == ["::1"]
        ip("address delete ::1/128 dev lo")
        await trio.sleep(0.2)
        assert announced(router) == ["::1"]
        ip("address add 2001:db8::7/64 dev lo nodad")
        await eventually(lambda: [host for host, _ in router.context.addresses] == ["2001:db8::7"])
        assert announced(router) == ["2001:db8::7"]


async def test_explicit_addresses_are_not_watched(ip: Callable[[str], str]) -> None:
    ip("address add 192.0.2.7/24 dev lo")
    async with sfu.open_router(sfu.MediaSettings(hosts=("192.0.2.7",), port=0, address_interval=0.01)) as router:
        ip("address add 198.51.100.7/24 dev lo")
        await trio.sleep(0.1)
        assert announced(router) == ["192.0.2.7"]


async def test_the_default_interface_address_follows_the_machine_to_another_network(
    ip: Callable[[str], str],
) -> None:
    async with sfu.open_router(sfu.MediaSettings(hosts=None, port=0, address_interval=0.05)) as router:
        assert announced(router) == ["127.0.0.1"]
        ip("address add 192.0.2.7/24 dev lo")
        await eventually(lambda: announced(router) == ["192.0.2.7", "127.0.0.1"])
        ip("address delete 192.0.2.7/24 dev lo")
        ip("address add 203.0.113.8/24 dev lo")
        await eventually(lambda: announced(router) == ["203.0.113.8", "127.0.0.1"])


async def test_the_interface_address_is_that_of_the_default_route(ip: Callable[[str], str]) -> None:
    ip("link add up1 type veth peer name up2")
    for name in ("up1", "up2"):
        ip(f"link set {name} up")
    ip("address add 203.0.113.8/24 dev lo")
    ip("address add 192.0.2.7/24 dev up1")
    ip("route add default via 192.0.2.1")
    async with sfu.open_router(sfu.MediaSettings(hosts=None, port=0)) as router:
        assert announced(router) == ["192.0.2.7", "127.0.0.1"]
