"""Takes the README's screenshots: ``python -m tools.screenshot http://127.0.0.1:8080 docs/images``.

Two people join a channel of a running gateway, and others join other channels.  The screenshots show one person's page
in light colours, in dark colours, and in the size of a phone, and the page of somebody who has not joined yet.
"""

import json
import sys
from pathlib import Path

from cyclopts import App
from playwright.sync_api import Browser, Page, sync_playwright

from tools.chromium import FLAGS, PERMITTED, TOUCHED, find_chromium

app = App(help_format="plaintext")
_CHANNEL = "daily"
_ELSEWHERE = {"Cleo": "kitchen", "Dan": "kitchen", "Eva": "kitchen", "Finn": "library"}
_MUTED = {"Dan", "Finn"}
_WINDOW = (1280, 800)
_SMALL_WINDOW = (960, 600)
_PHONE = (390, 844)
_PEOPLE = {
    "Ada": {
        "wall": "#d9e4e1",
        "floor": "#f6f8f5",
        "window": 130,
        "skin": "#e9b795",
        "hair": "#4b2e22",
        "shirt": "#0f766e",
        "longHair": True,
        "speaks": False,
    },
    "Ben": {
        "wall": "#e8dccb",
        "floor": "#fbf5ea",
        "window": 900,
        "skin": "#9a6546",
        "hair": "#1d1714",
        "shirt": "#b4532a",
        "longHair": False,
        "speaks": True,
    },
}


@app.default
def take_screenshots(url: str, folder: Path) -> None:
    """Write call.png, call-dark.png, call-phone.png and sidebar.png.

    Parameters
    ----------
    url
        The address of a running gateway.
    folder
        The folder for the screenshots.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        arguments = [*FLAGS, PERMITTED, TOUCHED]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        _join(browser, url, "Ben")
        page = _join(browser, url, "Ada")
        for name, channel in _ELSEWHERE.items():
            _join_elsewhere(browser, url, name, channel)
        page.locator("video").nth(1).wait_for()
        page.wait_for_timeout(20_000)  # until the bitrate is high and the notices of joining are gone
        _take(page, folder / "call.png", _WINDOW, "light")
        _take(page, folder / "call-dark.png", _WINDOW, "dark")
        _take(page, folder / "call-phone.png", _PHONE, "light")
        _take(_open_form(browser, url, "Gita"), folder / "sidebar.png", _SMALL_WINDOW, "light")
        browser.close()


def _join(browser: Browser, url: str, name: str) -> Page:
    page = browser.new_page(viewport={"width": _WINDOW[0], "height": _WINDOW[1]})
    camera = Path(__file__).with_name("fake_camera.js").read_text()
    page.add_init_script(camera.replace("LOOK", json.dumps(_PEOPLE[name])))
    page.goto(f"{url}/c/{_CHANNEL}?name={name}")
    page.get_by_test_id("join").click()
    page.get_by_test_id("together").wait_for()
    return page


def _join_elsewhere(browser: Browser, url: str, name: str, channel: str) -> None:
    page = browser.new_page()
    page.goto(f"{url}/c/{channel}?name={name}&camera=0")
    page.get_by_test_id("join").click()
    page.get_by_test_id("together").wait_for()
    if name in _MUTED:
        page.get_by_test_id("mute").click()


def _open_form(browser: Browser, url: str, name: str) -> Page:
    page = browser.new_page()
    page.goto(f"{url}/c/{_CHANNEL}?name={name}")
    page.get_by_test_id("sidebar-channel").first.wait_for()
    return page


def _take(page: Page, file: Path, window: tuple[int, int], scheme: str) -> None:
    page.set_viewport_size({"width": window[0], "height": window[1]})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.wait_for_timeout(1_000)  # until sizes and colours have stopped changing
    page.locator(".tile.speaking, form").wait_for()
    page.screenshot(path=file)
    print(f"{file}: {file.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    sys.exit(app())
