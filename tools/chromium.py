"""Finds Chromium, and holds the flags for calls without a window, a person or real devices."""

import os
import shutil

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # Chromium refuses to start as root otherwise
    "--no-first-run",
    "--disable-gpu",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    # Several pages call at once, and none of them may count as being in the background.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter",
)
#: Chromium grants every request for a device.
PERMITTED = "--use-fake-ui-for-media-stream"
#: Sound plays without a user gesture.
TOUCHED = "--autoplay-policy=no-user-gesture-required"


def find_chromium() -> str:
    """The path of the browser that the environment variable CHROMIUM names, or of the first installed one.

    Raises ``FileNotFoundError`` if there is none.  The message says how to get one.
    """
    named = os.environ.get("CHROMIUM")
    for name in (named,) if named else _NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("no Chromium: install it (apt install chromium) or name it in the environment as CHROMIUM")
