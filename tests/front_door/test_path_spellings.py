"""Rules of proxies name ``/metrics`` or ``/api/``: the gateway answers that spelling and no other."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Config
from gateway.http.asgi import split_target
from gateway.http.http1 import HttpError
from gateway.http.routes import make_app
from gateway.ops.metrics import Metrics
from tests.front_door.memory_front_door import Door, hello_app, request, upgrade
from tests.front_door.stand_ins import no_channels

ADMIN = {"Authorization": "Bearer open-sesame"}
CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]


@pytest.fixture
def door(tmp_path: Path) -> Door:
    (tmp_path / "index.html").write_text("<!doctype html>")
    channels = no_channels()
    return Door(app=make_app(Config(admin_token="open-sesame", web_root=tmp_path), Metrics(), channels, lambda: True))


def escaped(code: int) -> str:
    return "".join(f"%{byte:02x}" for byte in chr(code).encode())


@pytest.mark.parametrize("code", CONTROLS, ids=hex)
@pytest.mark.parametrize("path", ["/metrics{}", "/{}metrics", "/api/channels{}", "/c/kitchen{}", "/ws{}", "/{}"])
async def test_a_control_character_in_a_path_is_400(door: Door, path: str, code: int) -> None:
    answer = await door.ask(request(path.format(escaped(code)), headers=ADMIN))
    assert answer.status == 400
    assert "control characters" in answer.text


@pytest.mark.parametrize("target", ["http://localhost/metrics%0a", "/metrics%0A?a=b", "/metrics%0d%0a", "/ws%0A"])
async def test_a_control_character_is_400_in_every_form_of_a_request(door: Door, target: str) -> None:
    assert (await door.ask(request(target))).status == 400
    assert (await door.ask(upgrade(target))).status == 400
    assert door.clients.came == []


@pytest.mark.parametrize("code", [code for code in CONTROLS if code != 0x0A], ids=hex)
@pytest.mark.parametrize("path", ["/metrics{}", "/{}metrics", "/ws{}"])
async def test_a_control_character_as_it_is_in_a_path_is_400(door: Door, path: str, code: int) -> None:
    assert (await door.ask(request(path.format(chr(code)), headers=ADMIN))).status == 400
    assert (await door.ask(upgrade(path.format(chr(code))))).status == 400
    assert door.clients.came == []


async def test_printable_characters_may_be_escaped(door: Door) -> None:
    for path in ("/c/k%69tchen", "/c/a%2Fb", "/c/%C3%BCber", "/c/a%20b", "/c/100%25", "/c/%E2%80%A8"):
        assert (await door.ask(request(path))).status == 200
    assert (await Door(app=hello_app).ask(request("/a%20b?c=%0A"))).text == "GET /a b c=%0A 0"


SPELLINGS = [
    "//metrics",
    "/./metrics",
    "/x/../metrics",
    "/c/../metrics",
    "/%2e/metrics",
    "/c/%2e%2e/metrics",
    "/c/..%2fmetrics",
    "/metrics/",
    "/metrics/.",
    "/metrics/x/..",
    "/metrics;x",
    "/metrics;x=y?z",
    "/metrics%20",
    "/metrics%3F",
    "/metrics%23",
    "/metrics%3Bx",
    "/metrics%2F",
    "/%2Fmetrics",
    "/%6detrics",
    "/%6Detrics",
    "/m%65trics",
    "/metric%73",
    "/%256detrics",
    "/METRICS",
    "/Metrics",
    "/\\metrics",
    "/metrics\\",
    "/x\\..\\metrics",
    "/%5cmetrics",
    "/metrics%C2%A0",
    "/metrics%E2%80%8B",
    "/%EF%BC%8Fmetrics",
    "/metric%C5%BF",
    "http://localhost//metrics",
    "http://localhost/%6detrics",
    "http://localhost/x/../metrics",
]


@pytest.mark.parametrize("target", SPELLINGS)
async def test_another_spelling_of_metrics_is_404(door: Door, target: str) -> None:
    assert (await door.ask(request(target))).status == 404


@pytest.mark.parametrize(
    "target",
    ["/metrics#", "/metrics#x", "http://localhost/metrics#x", "\\metrics", "metrics", "http:/metrics", "///metrics#"],
)
async def test_a_target_that_is_no_path_is_400(door: Door, target: str) -> None:
    assert (await door.ask(request(target))).status == 400


@pytest.mark.parametrize(
    "target",
    [
        "/%61pi/channels",
        "/ap%69/channels",
        "/api%2Fchannels",
        "/api%2fchannels",
        "//api/channels",
        "/x/../api/channels",
        "/api//channels",
        "/api/./channels",
        "/api/channels/",
        "/API/channels",
        "/api;x/channels",
    ],
)
async def test_another_spelling_of_the_api_is_404(door: Door, target: str) -> None:
    assert (await door.ask(request(target, headers=ADMIN))).status == 404


@pytest.mark.parametrize("target", ["/%77s", "/w%73", "/ws/", "//ws", "/./ws", "/WS", "/ws;x"])
async def test_another_spelling_of_the_websocket_path_is_404(door: Door, target: str) -> None:
    assert (await door.ask(upgrade(target))).status == 404
    assert door.clients.came == []


@pytest.mark.parametrize(
    "target", ["/metrics", "/metrics?x=y", "http://localhost/metrics", "https://127.0.0.1:1/metrics"]
)
async def test_the_plain_spelling_is_answered(door: Door, target: str) -> None:
    answer = await door.ask(request(target))
    assert answer.status == 200
    assert "sfu_sessions" in answer.text or "sfu_joins_total" in answer.text


class Head:
    """A request of which only the path counts."""

    def __init__(self, target: bytes) -> None:
        self.target = target


@settings(max_examples=1000, derandomize=True, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["/", "//", ".", "..", "%2e", "%2f", "%5c", ";", "%00", "%0a", "\\", "%25", "?"]),
            st.sampled_from(["metrics", "%6detrics", "m", "%6d", "etrics", "api", "%61pi", "x", "http://localhost"]),
        ),
        max_size=6,
    )
)
def test_of_all_combinations_only_the_plain_target_means_metrics(parts: list[str]) -> None:
    target = "/" + "".join(parts)
    try:
        path, _, _ = split_target(Head(target.encode()))  # type: ignore[arg-type]  # more is not looked at
    except HttpError:
        return
    assert (path == "/metrics") == (target.partition("?")[0] == "/metrics")
    if path.startswith("/api/"):
        assert target.startswith("/api/")
