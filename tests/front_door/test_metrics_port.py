"""Metrics on a TCP port of their own, away from the public one."""

import pytest
import trio

from gateway.config import Config
from gateway.server import StartError, open_server
from tests.eventually import eventually
from tests.front_door.memory_front_door import Answer, connect_tcp, parse, read_all, request, upgrade

CONFIG = Config(port=0, media_port=0, planes=1)
APART = Config(port=0, media_port=0, planes=1, metrics_port=0)


async def ask(url: str, data: bytes) -> Answer:
    host, _, port = url.removeprefix("http://").rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(data)
        return parse(await read_all(stream))


async def test_metrics_are_on_the_port_of_the_page_by_default() -> None:
    async with open_server(CONFIG) as server:
        assert server.metrics_url == ""
        assert (await ask(server.url, request("/metrics"))).status == 200


async def test_metrics_with_a_port_of_their_own_are_not_on_the_public_one() -> None:
    async with open_server(APART) as server:
        assert server.metrics_url != server.url
        shown = await ask(server.metrics_url, request("/metrics"))
        assert (shown.status, "sfu_sessions 0.0\n" in shown.text) == (200, True)
        assert (await ask(server.url, request("/metrics"))).status == 404
        assert (await ask(server.url, request("/metrics%0A"))).status == 400
        assert (await ask(server.url, request("/healthz"))).status == 200


async def test_the_port_for_metrics_serves_health_and_nothing_else() -> None:
    async with open_server(APART) as server:
        assert (await ask(server.metrics_url, request("/healthz"))).status == 200
        assert (await ask(server.metrics_url, request("/readyz"))).status == 200
        server.refuse_new_clients()
        assert (await ask(server.metrics_url, request("/readyz"))).status == 503
        for path in ("/", "/index.html", "/page.json", "/api/channels", "/ws"):
            assert (await ask(server.metrics_url, request(path))).status == 404
        assert (await ask(server.metrics_url, upgrade())).status == 404
        assert server.front_door.clients == 0


async def test_the_port_for_metrics_checks_the_host_too() -> None:
    async with open_server(APART) as server:
        assert (await ask(server.metrics_url, request("/metrics", host="evil:9090"))).status == 421


async def test_a_full_public_port_does_not_keep_metrics_from_their_own() -> None:
    config = Config(port=0, media_port=0, planes=1, metrics_port=0, max_http_connections=1)
    async with open_server(config) as server, await connect_tcp(server) as slow:
        await slow.send_all(request("/", "POST", {"Content-Length": "1"}))
        await eventually(lambda: server.front_door.http_connections)
        assert (await ask(server.url, request("/page.json"))).status == 503
        assert (await ask(server.metrics_url, request("/metrics"))).status == 200


async def test_an_occupied_port_for_metrics_stops_the_start() -> None:
    async with open_server(APART) as server:
        port = int(server.metrics_url.rpartition(":")[2])
        with pytest.raises(StartError, match=rf"cannot listen on 127\.0\.0\.1:{port} \(TCP\): Address already in use"):
            async with open_server(Config(port=0, media_port=0, planes=1, metrics_port=port)):
                pass


def test_a_host_for_metrics_without_their_port_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"^metrics_host needs metrics_port$"):
        Config(metrics_host="192.0.2.7")
