"""The addresses that a router listens on and announces, and calls over each of them."""

import socket

import ifaddr
import pytest
from attrs import frozen

import sfu
from sfu.addresses import (
    MOST_ADDRESSES,
    AddressChoice,
    InterfaceAddress,
    choose_addresses,
    interface_address,
    machine_addresses,
)
from tests.media.conftest import Connect, Notices
from tests.media.rtp import Rtp, opus, read


@frozen
class Ip:
    """An address as :mod:`ifaddr` lists it: IPv6 addresses are a tuple with flow and scope."""

    ip: str | tuple[str, int, int]


@frozen
class Adapter:
    name: str
    ips: list[Ip]


ADAPTERS = [
    Adapter("lo", [Ip("127.0.0.1"), Ip(("::1", 0, 0))]),
    Adapter("eth0", [Ip("192.0.2.7"), Ip(("2001:db8::7", 0, 0)), Ip(("fe80::7", 0, 2)), Ip("169.254.3.4")]),
    Adapter("eth1", [Ip("192.0.2.7")]),
    Adapter("docker0", [Ip("172.17.0.1")]),
]


def on(**interfaces: str) -> list[InterfaceAddress]:
    """A machine with these interfaces.  Spaces separate addresses, and _ in a name stands for -."""
    return [
        InterfaceAddress(name.replace("_", "-"), address)
        for name, addresses in interfaces.items()
        for address in addresses.split()
    ]


MACHINE = on(lo="127.0.0.1 ::1", eth0="192.0.2.7 2001:db8::7", docker0="172.17.0.1")


def test_link_local_addresses_of_the_machine_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: ADAPTERS)
    assert machine_addresses() == [
        InterfaceAddress("lo", "127.0.0.1"),
        InterfaceAddress("lo", "::1"),
        InterfaceAddress("eth0", "192.0.2.7"),
        InterfaceAddress("eth0", "2001:db8::7"),
        InterfaceAddress("eth1", "192.0.2.7"),
        InterfaceAddress("docker0", "172.17.0.1"),
    ]


@pytest.mark.parametrize(
    ("hosts", "listen"),
    [
        (["192.0.2.1"], ("192.0.2.1",)),
        (["::1", "127.0.0.1"], ("::1", "127.0.0.1")),
        (["0.0.0.0"], ("192.0.2.7", "172.17.0.1", "127.0.0.1")),
        (["::"], ("2001:db8::7", "::1")),
        (["127.0.0.1", "0.0.0.0", "127.0.0.1"], ("127.0.0.1", "192.0.2.7", "172.17.0.1")),
        (["2001:DB8:0::7", "2001:db8::7"], ("2001:db8::7",)),
    ],
)
def test_a_wildcard_stands_for_each_address_once_best_first(hosts: list[str], listen: tuple[str, ...]) -> None:
    assert choose_addresses(hosts, MACHINE).listen == listen


@pytest.mark.parametrize(
    ("hosts", "machine", "announce"),
    [
        (["0.0.0.0"], MACHINE, ("192.0.2.7",)),
        (["::"], MACHINE, ("2001:db8::7",)),
        (["0.0.0.0", "::"], MACHINE, ("192.0.2.7", "2001:db8::7")),
        (["0.0.0.0", "::"], on(lo="127.0.0.1 ::1", eth0="192.0.2.7"), ("192.0.2.7",)),
        (
            ["0.0.0.0"],
            on(lo="127.0.0.1", br_5f1c9a2b7d3e="172.18.0.1", virbr0="192.0.2.9"),
            ("172.18.0.1", "192.0.2.9"),
        ),
        (["0.0.0.0"], on(lo="127.0.0.1"), ("127.0.0.1",)),
        (["0.0.0.0"], on(lo="127.0.0.1 203.0.113.5"), ("203.0.113.5",)),
        (["0.0.0.0"], on(lo="127.0.0.1", br0="192.0.2.3", br_lan="192.0.2.4"), ("192.0.2.3", "192.0.2.4")),
        (["172.17.0.1", "0.0.0.0"], MACHINE, ("172.17.0.1", "192.0.2.7")),
        (["127.0.0.1", "0.0.0.0"], MACHINE, ("127.0.0.1", "192.0.2.7")),
        (["127.0.0.1", "0.0.0.0"], on(lo="127.0.0.1", docker0="172.17.0.1"), ("127.0.0.1",)),
    ],
)
def test_a_wildcard_announces_only_addresses_that_lead_to_clients(
    hosts: list[str], machine: list[InterfaceAddress], announce: tuple[str, ...]
) -> None:
    assert choose_addresses(hosts, machine).announce == announce


@pytest.mark.parametrize(
    "interface",
    ["docker0", "br-5f1c9a2b7d3e", "virbr0", "veth12ab", "cni0", "podman1", "lxcbr0", "lxdbr0", "cali1f", "flannel.1"],
)
def test_bridges_of_containers_do_not_lead_to_clients(interface: str) -> None:
    machine = [InterfaceAddress(interface, "172.17.0.1"), InterfaceAddress("wlan0", "192.0.2.8")]
    assert choose_addresses(["0.0.0.0"], machine).announce == ("192.0.2.8",)
    assert interface_address(machine) == "192.0.2.8"


def test_a_wildcard_binds_a_bounded_number_of_addresses() -> None:
    many = [InterfaceAddress("eth0", f"10.0.{number}.1") for number in range(200)]
    assert len(choose_addresses(["0.0.0.0"], [*MACHINE, *many]).listen) == MOST_ADDRESSES


def test_without_hosts_the_choice_is_loopback_and_one_interface_address() -> None:
    assert choose_addresses(None, MACHINE, "192.0.2.7") == AddressChoice(
        ("127.0.0.1", "192.0.2.7"), ("127.0.0.1", "192.0.2.7")
    )
    assert choose_addresses(None, MACHINE, None) == AddressChoice(("127.0.0.1",), ("127.0.0.1",))


def test_the_interface_address_is_ipv4_if_possible() -> None:
    assert interface_address(on(lo="127.0.0.1 ::1", docker0="172.17.0.1")) is None
    assert interface_address(on(eth0="2001:db8:9::7")) == "2001:db8:9::7"
    assert interface_address(on(eth0="2001:db8:9::7 203.0.113.9", eth1="203.0.113.10")) == "203.0.113.9"


async def test_clients_try_loopback_last() -> None:
    async with sfu.open_router(sfu.MediaSettings(hosts=None, port=0)) as router:
        assert router.context.addresses[0][0] == "127.0.0.1"
        assert [each.address for each in router.context.candidates][-1] == "127.0.0.1"
        assert len(router.context.candidates) <= 2


@pytest.mark.parametrize("host", ["", "127.0.0.1:40000", "[::1]", "http://media.example", "256.1.1.1", "1.2.3", "a b"])
async def test_the_error_names_a_host_that_is_neither_address_nor_name(host: str) -> None:
    with pytest.raises(sfu.BadAddress, match="is neither an address nor a name"):
        async with sfu.open_router(sfu.MediaSettings(hosts=(host,), port=0)):
            pass
    with pytest.raises(sfu.BadAnnouncement, match="is neither an address nor a name"):
        async with sfu.open_router(sfu.MediaSettings(announce=(host,), port=0)):
            pass


async def test_a_wildcard_without_any_address_of_its_version_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [Adapter("lo", [Ip("127.0.0.1")])])
    for hosts in (("::",), ()):
        with pytest.raises(sfu.BadAddress, match="no address"):
            async with sfu.open_router(sfu.MediaSettings(hosts=hosts, port=0)):
                pass


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("hosts", [("::1",), ("127.0.0.1", "::1")])
async def test_a_call_works_over_each_address_of_the_router(connect: Connect, hosts: tuple[str, ...]) -> None:
    async with (
        sfu.open_router(sfu.MediaSettings(hosts=hosts, port=0)) as router,
        sfu.open_peer(router, Notices(), name="ada") as ada,
        sfu.open_peer(router, Notices(), name="bob") as bob,
    ):
        assert [host for host, _ in router.context.addresses] == list(hosts)
        assert len({number for _, number in router.context.addresses}) == 1
        first, last = router.context.addresses[0], router.context.addresses[-1]
        # The two may differ in family: media that comes in by one socket leaves by the other.
        async with (
            connect(ada, "send", address=first) as (sending, microphone),
            connect(bob, "receive", address=last) as (receiving, speaker),
        ):
            assert [candidate.address for candidate in sending.ice_candidates] == sorted(hosts, reverse=True)
            producer = ada.produce(sending.id, "audio", opus(1111))
            bob.consume(receiving.id, producer, router.context.capabilities, stream="ada", paused=False)
            microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 1111, b"hello")))
            microphone.send()
            await speaker.until(lambda: speaker.transport.rtp)
            assert read(speaker.transport.rtp[0]).payload == b"hello"


async def test_announced_addresses_replace_those_of_the_router_in_candidates() -> None:
    settings = sfu.MediaSettings(port=0, announce=("203.0.113.5", "2001:db8::5"))
    async with sfu.open_router(settings) as router, sfu.open_peer(router, Notices(), name="ada") as ada:
        candidates = ada.create_transport("send").ice_candidates
        assert [candidate.address for candidate in candidates] == ["2001:db8::5", "203.0.113.5"]
        assert {candidate.port for candidate in candidates} == {router.context.addresses[0][1]}
