"""The TCP addresses that clients get for media."""

import pytest

import sfu
from sfu.hostnames import BadAddress, split_port
from sfu.tcp_addresses import TcpAddresses

OWN = {"127.0.0.1", "192.0.2.1", "2001:db8::1"}


@pytest.mark.parametrize(
    ("hosts", "listeners", "expected"),
    [
        # A wildcard listens on every address of its family.
        (["192.0.2.1", "127.0.0.1"], [("0.0.0.0", 80)], [("192.0.2.1", 80), ("127.0.0.1", 80)]),
        (["192.0.2.1", "2001:db8::1"], [("0.0.0.0", 80)], [("192.0.2.1", 80)]),
        (["192.0.2.1", "2001:db8::1"], [("0.0.0.0", 80), ("::", 80)], [("192.0.2.1", 80), ("2001:db8::1", 80)]),
        # Another listener listens on its own address.
        (["192.0.2.1", "127.0.0.1"], [("127.0.0.1", 80)], [("127.0.0.1", 80)]),
        (["192.0.2.1"], [("127.0.0.1", 80)], []),
        # Behind a NAT, an address that is not the machine's stands for its own, but never for loopback.
        (["203.0.113.7"], [("192.0.2.1", 80)], [("203.0.113.7", 80)]),
        (["203.0.113.7"], [("0.0.0.0", 80)], [("203.0.113.7", 80)]),
        (["203.0.113.7"], [("127.0.0.1", 80)], []),
        (["203.0.113.7"], [], []),
    ],
)
def test_each_udp_address_gets_a_tcp_address_if_the_page_listens_there(
    hosts: list[str], listeners: list[tuple[str, int]], expected: list[tuple[str, int]]
) -> None:
    assert TcpAddresses().listening(listeners).beside(hosts, OWN) == expected


def test_announced_addresses_replace_the_listeners_and_may_use_their_port() -> None:
    addresses = TcpAddresses().announcing([("203.0.113.7", 443), ("2001:db8::7", None)])
    assert addresses.beside(["192.0.2.1"], OWN) == [("203.0.113.7", 443)]
    listening = addresses.listening([("127.0.0.1", 8080)])
    assert listening.beside(["192.0.2.1"], OWN) == [("203.0.113.7", 443), ("2001:db8::7", 8080)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", None)),
        ("192.0.2.1:443", ("192.0.2.1", 443)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443)),
        ("call.example.org", ("call.example.org", None)),
        ("call.example.org:65535", ("call.example.org", 65535)),
    ],
)
def test_a_host_may_carry_a_port(text: str, expected: tuple[str, int | None]) -> None:
    assert split_port(text) == expected


@pytest.mark.parametrize("text", ["192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "host:http", "[::1]443", "host:²"])
def test_a_wrong_port_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        split_port(text)


async def test_a_transport_offers_the_announced_tcp_address_or_none_at_all() -> None:
    settings = sfu.MediaSettings(port=0, tcp_announce=("203.0.113.7:443", "[2001:db8::7]"))
    async with sfu.open_router(settings) as router:
        router.use_tcp_listeners([("127.0.0.1", 8080)])
        assert [(one.address, one.port) for one in router.context.candidates if one.protocol == "tcp"] == [
            ("2001:db8::7", 8080),
            ("203.0.113.7", 443),
        ]
    async with sfu.open_router(sfu.MediaSettings(port=0, tcp=False)) as router:
        router.use_tcp_listeners([("127.0.0.1", 8080)])
        assert {one.protocol for one in router.context.candidates} == {"udp"}


@pytest.mark.parametrize("host", ["0.0.0.0:443", "https://call.example.org", "a b:443", "host:x"])
async def test_an_unusable_tcp_address_stops_the_start_with_the_name_of_its_setting(host: str) -> None:
    with pytest.raises(sfu.BadAnnouncement) as raised:
        async with sfu.open_router(sfu.MediaSettings(port=0, tcp_announce=(host,))):
            pass
    assert raised.value.setting == "tcp_announce"
