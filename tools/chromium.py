"""Where Chromium is, and how to start it so that it calls without a window, a person or devices."""

import os
import shutil

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it refuses to start as root otherwise
    "--no-first-run",
    "--disable-gpu",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    # Pages are looked at side by side; none is in the background.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter",
)
#: The person answers every question for a device with yes.
PERMITTED = "--use-fake-ui-for-media-stream"
#: The person has touched the page before: sound plays.
TOUCHED = "--autoplay-policy=no-user-gesture-required"


def find_chromium() -> str:
    """The browser that CHROMIUM in the environment names, or the first that is installed.

    Raises ``FileNotFoundError``, with the way to get one.
    """
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else _NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("no Chromium: install it (apt install chromium) or name it in the environment as CHROMIUM")
