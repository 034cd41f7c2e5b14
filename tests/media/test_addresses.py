"""Which addresses the port listens on, and calls over each of them."""

import ipaddress
import socket

import ifaddr
import pytest
from attrs import frozen

import sfu
from sfu.addresses import expand_hosts
from tests.media.conftest import Connect, Notices
from tests.media.rtp import Rtp, opus, read


@frozen
class Ip:
    """What :mod:`ifaddr` says of an address: IPv6 ones are a tuple with flow and scope."""

    ip: str | tuple[str, int, int]


@frozen
class Adapter:
    ips: list[Ip]


ADAPTERS = [
    Adapter([Ip("127.0.0.1"), Ip(("::1", 0, 0))]),
    Adapter([Ip("192.0.2.7"), Ip(("2001:db8::7", 0, 0)), Ip(("fe80::7", 0, 2)), Ip("169.254.3.4")]),
    Adapter([Ip("192.0.2.7")]),
]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: ADAPTERS)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("hosts", "expanded"),
    [
        (["192.0.2.1"], ("192.0.2.1",)),
        (["::1", "127.0.0.1"], ("::1", "127.0.0.1")),
        (["0.0.0.0"], ("127.0.0.1", "192.0.2.7")),
        (["::"], ("::1", "2001:db8::7")),
        (["192.0.2.7", "0.0.0.0", "192.0.2.7"], ("192.0.2.7", "127.0.0.1")),
        (["2001:DB8:0::7", "2001:db8::7"], ("2001:db8::7",)),
    ],
)
def test_a_wildcard_is_each_address_of_the_machine_once_and_in_order(
    hosts: list[str], expanded: tuple[str, ...]
) -> None:
    assert expand_hosts(hosts) == expanded


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("host", ["localhost", "", "127.0.0.1:40000", "[::1]"])
def test_names_are_no_addresses(host: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        expand_hosts([host])


def test_a_wildcard_for_what_the_machine_has_not_is_an_error_not_a_deaf_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [Adapter([Ip("127.0.0.1")])])
    with pytest.raises(ValueError, match="no address"):
        expand_hosts(["::"])
    with pytest.raises(ValueError, match="no address"):
        expand_hosts([])


def test_the_addresses_of_this_machine_are_addresses() -> None:
    found = expand_hosts(["0.0.0.0"])
    assert "127.0.0.1" in found
    assert all(ipaddress.ip_address(each).version == 4 for each in found)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("hosts", [("::1",), ("127.0.0.1", "::1")])
async def test_a_call_over_each_address_of_a_port(connect: Connect, hosts: tuple[str, ...]) -> None:
    async with (
        sfu.open_port(sfu.MediaSettings(hosts=hosts, port=0)) as port,
        sfu.open_peer(port, Notices(), name="ada") as ada,
        sfu.open_peer(port, Notices(), name="bob") as bob,
    ):
        assert [host for host, _ in port.addresses] == list(hosts)
        assert len({number for _, number in port.addresses}) == 1
        first, last = port.addresses[0], port.addresses[-1]
        # The two may be of different families: what comes in by one socket leaves by the other.
        async with (
            connect(ada, "send", address=first) as (sending, microphone),
            connect(bob, "receive", address=last) as (receiving, speaker),
        ):
            assert [candidate.address for candidate in sending.ice_candidates] == sorted(hosts, reverse=True)
            producer = ada.produce(sending.id, "audio", opus(1111))
            bob.consume(receiving.id, producer, port.capabilities, stream="ada", paused=False)
            microphone.transport.send_rtp(bytes(Rtp(111, 1, 0, 1111, b"hello")))
            microphone.send()
            await speaker.until(lambda: speaker.transport.rtp)
            assert read(speaker.transport.rtp[0]).payload == b"hello"


async def test_announced_addresses_stand_in_the_candidates_instead() -> None:
    settings = sfu.MediaSettings(port=0, announce=("203.0.113.5", "2001:db8::5"))
    async with sfu.open_port(settings) as port, sfu.open_peer(port, Notices(), name="ada") as ada:
        candidates = ada.create_transport("send").ice_candidates
        assert [candidate.address for candidate in candidates] == ["2001:db8::5", "203.0.113.5"]
        assert {candidate.port for candidate in candidates} == {port.addresses[0][1]}
