"""The gateway answers only for hosts that it knows. So DNS rebinding gives a page of another site nothing."""

from typing import Any

import pytest

from gateway.config import Config
from gateway.http.routes import make_app
from gateway.ops.metrics import Metrics
from tests.front_door.memory_front_door import Door, request, upgrade
from tests.front_door.stand_ins import no_channels
from tests.front_door.test_http_refusals import happened

SAFE = [
    "localhost",
    "localhost:8080",
    "LocalHost",
    "localhost.",
    "call.localhost:8080",
    "127.0.0.1",
    "127.0.0.1:8080",
    "192.0.2.7:8080",
    "[::1]",
    "[::1]:8080",
    "[2001:DB8::7]:443",
]
FOREIGN = [
    "evil:18080",
    "evil.example",
    "call.example.org",
    "localhost.evil.example",
    "notlocalhost",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io:8080",
    "2130706433",
    "0x7f.1",
    "127.1",
]
BAD = [
    "",
    ":8080",
    "local host",
    "localhost:port",
    "localhost:123456",
    "a@localhost",
    "localhost/x",
    "[::1",
    "::1",
    "*",
]


def make_door(**settings: Any) -> Door:
    config = Config(**settings)
    return Door(config, make_app(config, Metrics(), no_channels(), lambda: True))


async def test_a_page_that_gives_its_own_name_the_gateways_address_reaches_nothing() -> None:
    door = make_door(admin_token="open-sesame")
    answer = await door.ask(upgrade(Host="evil:18080", Origin="http://evil:18080"))
    assert answer.status == 421
    assert answer.text.startswith("this gateway does not serve the host 'evil:18080'")
    assert door.clients.came == []
    for path in ("/", "/metrics", "/healthz", "/readyz", "/page.json", "/api/channels", "/ws", "/nothing"):
        assert (await door.ask(request(path, host="evil:18080"))).status == 421
    assert happened(door) == {"host": 9}


@pytest.mark.parametrize("host", SAFE)
async def test_addresses_and_loopback_names_are_always_served(host: str) -> None:
    for door in (make_door(), make_door(allowed_hosts=("call.example.org",))):
        assert (await door.ask(request("/healthz", host=host))).status == 200
        assert (await door.raw(upgrade(Host=host))).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("host", FOREIGN)
async def test_another_name_is_refused_with_421_for_http_and_websocket_alike(host: str) -> None:
    door = make_door()
    assert (await door.ask(request("/healthz", host=host))).status == 421
    assert (await door.ask(upgrade(Host=host))).status == 421
    assert door.clients.came == []


@pytest.mark.parametrize("host", BAD)
async def test_a_host_that_is_none_is_refused_with_400(host: str) -> None:
    for data in (request("/healthz", host=host), upgrade(Host=host)):
        answer = await make_door(allowed_hosts=("call.example.org",)).ask(data)
        assert answer.status == 400
        assert "Host" in answer.text


@pytest.mark.parametrize("host", ["call.example.org", "CALL.example.ORG:443", "call.example.org.", "other.example:1"])
async def test_a_configured_name_is_served_on_any_port(host: str) -> None:
    door = make_door(allowed_hosts=("Call.Example.org", "other.example."))
    assert (await door.ask(request("/healthz", host=host))).status == 200
    assert (await door.raw(upgrade(Host=host))).startswith(b"HTTP/1.1 204 ")
    assert (await door.ask(request("/healthz", host="x.call.example.org"))).status == 421


async def test_the_name_on_which_the_gateway_listens_is_served() -> None:
    for settings in ({"host": "meet.example.org"}, {"metrics_host": "meet.example.org", "metrics_port": 0}):
        door = make_door(**settings)
        assert (await door.ask(request("/healthz", host="meet.example.org:8080"))).status == 200
        assert (await door.ask(request("/healthz", host="example.org"))).status == 421


FORWARDED = {
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Server": "localhost",
    "X-Original-Host": "localhost",
    "Forwarded": "host=localhost;for=127.0.0.1",
}


async def test_headers_of_proxies_do_not_count() -> None:
    """Any client can send them."""
    door = make_door()
    assert (await door.ask(request("/healthz", headers=FORWARDED, host="evil:18080"))).status == 421
    named = {name.replace("-", "_"): value for name, value in FORWARDED.items()}
    assert (await door.ask(upgrade(Host="evil:18080", Origin="http://evil:18080", **named))).status == 421
    foreign = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    assert (await door.ask(request("/healthz", headers=foreign))).status == 200


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost:8080/healthz", "localhost:8080", 200),
        ("http://evil:18080/healthz", "localhost", 421),
        ("http://localhost/healthz", "evil:18080", 421),
        ("http://localhost@evil/healthz", "localhost", 400),
    ],
)
async def test_a_target_in_absolute_form_is_checked_as_well_as_the_header(target: str, host: str, status: int) -> None:
    assert (await make_door().ask(request(target, host=host))).status == status


async def test_a_client_of_http_1_0_may_name_no_host() -> None:
    """Some health checks do so, and no browser does."""
    assert (await make_door().ask(b"GET /healthz HTTP/1.0\r\n\r\n")).status == 200
    assert (await make_door().ask(b"GET /healthz HTTP/1.0\r\nHost: evil\r\n\r\n")).status == 421


@pytest.mark.parametrize(
    "host", ["", "https://call.example.org", "call.example.org:443", "*.example.org", "*", "bücher.example", "a b"]
)
def test_a_setting_that_is_no_host_stops_the_start(host: str) -> None:
    with pytest.raises(ValueError, match=r"^allowed_hosts must hold names like call\.example\.org, without a scheme"):
        Config(allowed_hosts=(host,))
