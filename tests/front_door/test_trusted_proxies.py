"""Whose word about the address of a client counts."""

import pytest

from gateway.config import Config
from gateway.config.exposure import accidental_exposure
from gateway.config.proxies import TrustedProxies
from tests.front_door.memory_front_door import Door, put_in_debt, upgrade

PROXIES = TrustedProxies.of(["192.0.2.1", "10.0.0.0/8", "2001:db8::/32", "127.0.0.1"])


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.1:4711", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1:4711", ["203.0.113.7"], "203.0.113.7"),
        ("[2001:db8::1]:4711", ["2001:470::9"], "2001:470::9"),
        ("192.0.2.1:4711", ["203.0.113.7:5000"], "203.0.113.7"),
        ("192.0.2.1:4711", ["[2001:470::9]:5000"], "2001:470::9"),
        # What a client made up stands before what the proxy appended.
        ("192.0.2.1:4711", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("192.0.2.1:4711", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        # A chain of trusted proxies.
        ("192.0.2.1:4711", ["198.51.100.1, 203.0.113.7, 10.1.2.3"], "203.0.113.7"),
        ("192.0.2.1:4711", ["10.1.2.3"], "10.1.2.3"),
        # No word of a trusted proxy, or none that can be read.
        ("192.0.2.1:4711", [], "192.0.2.1:4711"),
        ("192.0.2.1:4711", [""], "192.0.2.1:4711"),
        ("192.0.2.1:4711", ["203.0.113.7, unknown"], "192.0.2.1:4711"),
        ("192.0.2.1:4711", ["203.0.113.7, nonsense, 10.1.2.3"], "10.1.2.3"),
        # Not a proxy of ours.
        ("198.51.100.9:4711", ["203.0.113.7"], "198.51.100.9:4711"),
        ("unknown", ["203.0.113.7"], "unknown"),
    ],
)
def test_the_last_word_of_trusted_proxies_counts(remote: str, forwarded: list[str], client: str) -> None:
    assert PROXIES.client_of_untrusted(remote, forwarded) == client


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert TrustedProxies.of([]).client_of_untrusted("127.0.0.1:1", ["203.0.113.7"]) == "127.0.0.1:1"


@pytest.mark.parametrize("text", ["proxy.example.org", "10.0.0.0/99", "", "*"])
def test_what_is_no_network_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"trusted_proxies must hold addresses or networks like 10\.0\.0\.7"):
        Config(trusted_proxies=(text,))


async def test_a_client_behind_a_trusted_proxy_is_served_under_its_own_address() -> None:
    door = Door(Config(trusted_proxies=("192.0.2.1",)), remote="192.0.2.1:4711")
    await door.raw(upgrade(X_Forwarded_For="203.0.113.7"))
    put_in_debt(door, "203.0.113.8", 5)
    assert (await door.ask(upgrade(X_Forwarded_For="203.0.113.8"))).status == 429
    assert door.clients.came == ["203.0.113.7"]


def test_trusted_proxies_let_other_machines_in() -> None:
    assert "trusted-proxies" in str(accidental_exposure(Config(trusted_proxies=("127.0.0.1",))))
    assert accidental_exposure(Config(trusted_proxies=("127.0.0.1",), join_token="open sesame")) is None
