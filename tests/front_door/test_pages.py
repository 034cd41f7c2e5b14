"""The files of the web client, and their headers."""

from pathlib import Path

import pytest

from gateway.config import Config
from gateway.http.routes import make_app
from gateway.ops.metrics import Metrics
from tests.front_door.memory_front_door import Door, request
from tests.front_door.stand_ins import no_channels

PAGE = "<!doctype html><title>the client</title>"
SCRIPT = "console.log('hello')"


@pytest.fixture
def web_root(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text(PAGE)
    (root / "favicon.svg").write_text("<svg/>")
    (root / "assets" / "index-d34db33f.js").write_text(SCRIPT)
    (tmp_path / "secret.txt").write_text("not for you")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    return root


def door_to(web_root: Path) -> Door:
    return Door(app=make_app(Config(web_root=web_root), Metrics(), no_channels(), lambda: True))


@pytest.mark.parametrize("path", ["/", "/?from=mail", "/index.html", "/c/kitchen", "/c/a:b.c-d", "/c/", "/c/x/y"])
async def test_the_page_is_there_for_every_channel_and_never_stale(web_root: Path, path: str) -> None:
    answer = await door_to(web_root).ask(request(path))
    assert (answer.status, answer.text) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_kiosk_setting_is_never_cached_and_off_by_default() -> None:
    for config, kiosk in ((Config(), b'{"kiosk":false}'), (Config(kiosk=True), b'{"kiosk":true}')):
        answer = await Door(app=make_app(config, Metrics(), no_channels(), lambda: True)).ask(request("/page.json"))
        assert (answer.status, answer.body) == (200, kiosk)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert "script-src 'self'" in answer.headers["content-security-policy"]


async def test_a_file_with_a_hash_in_its_name_is_cached_for_ever(web_root: Path) -> None:
    answer = await door_to(web_root).ask(request("/assets/index-d34db33f.js"))
    assert answer.text == SCRIPT
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_other_files_are_revalidated_and_sent_only_after_a_change(web_root: Path) -> None:
    door = door_to(web_root)
    first = await door.ask(request("/favicon.svg"))
    assert first.headers["cache-control"] == "no-cache"
    again = await door.ask(request("/favicon.svg", headers={"If-None-Match": first.headers["etag"]}))
    assert (again.status, again.body) == (304, b"")


async def test_a_client_may_request_a_part_of_a_file(web_root: Path) -> None:
    answer = await door_to(web_root).ask(request("/assets/index-d34db33f.js", headers={"Range": "bytes=0-6"}))
    assert (answer.status, answer.text) == (206, "console")


async def test_head_describes_a_file_without_sending_it(web_root: Path) -> None:
    answer = await door_to(web_root).ask(request("/", "HEAD"), "HEAD")
    assert answer.headers["content-length"] == str(len(PAGE))
    assert answer.body == b""


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/assets/nothing.js",
        "/assets/",
        "/assets",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/link.txt",
        "//etc/passwd",
        "/" + "a" * 5000,
    ],
)
async def test_nothing_else_is_there(web_root: Path, path: str) -> None:
    assert (await door_to(web_root).ask(request(path))).status == 404


async def test_files_can_only_be_read(web_root: Path) -> None:
    answer = await door_to(web_root).ask(request("/", "POST", {"Content-Length": "0"}))
    assert answer.status == 405


async def test_a_page_may_use_its_own_scripts_the_camera_and_the_gateway_and_nothing_else(web_root: Path) -> None:
    headers = (await door_to(web_root).ask(request("/"))).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert "blob:" in policy["media-src"]
    assert "ws:" in policy["connect-src"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["permissions-policy"] == "camera=(self), microphone=(self), display-capture=(self)"


@pytest.mark.parametrize("path", ["/", "/c/kitchen"])
async def test_without_the_built_client_the_page_says_how_to_build_it(tmp_path: Path, path: str) -> None:
    door = door_to(tmp_path / "dist")
    answer = await door.ask(request(path))
    assert answer.status == 503
    assert "make run" in answer.text
    assert "npm" in answer.text
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text(PAGE)
    assert (await door.ask(request(path))).text == PAGE
