"""Where Firefox is, and how to start it so that it calls without a window, a person or devices."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

_NAMES = ("firefox-esr", "firefox")

FLAGS = ("--headless", "--no-remote", "--marionette")

#: Written into the profile: fake devices that are given without a question, and nothing that calls home.
PREFERENCES: Mapping[str, object] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "marionette.port": 0,  # it finds a free one, and writes it into the profile
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}
#: Devices on pages that are served over http from another machine, too.
ANYWHERE: Mapping[str, object] = {
    "media.devices.insecure.enabled": True,
    "media.getusermedia.insecure.enabled": True,
}


def find_firefox() -> str:
    """The browser that FIREFOX in the environment names, or the first that is installed.

    Raises ``FileNotFoundError``, with the way to get one.
    """
    named = os.environ.get("FIREFOX")
    for name in (named,) if named else _NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("no Firefox: install it (apt install firefox-esr) or name it in the environment as FIREFOX")


def write_profile(folder: Path, more: Mapping[str, object] = {}) -> None:
    """A new profile with these preferences, and with ``more``."""
    folder.mkdir(parents=True)
    lines = (
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in {**PREFERENCES, **more}.items()
    )
    (folder / "user.js").write_text("".join(lines))
