"""Finds Firefox, and holds the settings for calls without a window, a person or real devices."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

_NAMES = ("firefox-esr", "firefox")

FLAGS = ("--headless", "--no-remote", "--marionette")

#: Preferences of a profile: fake devices that need no permission, and no requests to Mozilla.
PREFERENCES: Mapping[str, object] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "marionette.port": 0,  # Firefox picks a free port and writes it into the profile
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
#: More preferences: devices also on pages that another machine serves over http.
ANYWHERE: Mapping[str, object] = {
    "media.devices.insecure.enabled": True,
    "media.getusermedia.insecure.enabled": True,
}


def find_firefox() -> str:
    """The path of the browser that the environment variable FIREFOX names, or of the first installed one.

    Raises ``FileNotFoundError`` if there is none.  The message says how to get one.
    """
    named = os.environ.get("FIREFOX")
    for name in (named,) if named else _NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("no Firefox: install it (apt install firefox-esr) or name it in the environment as FIREFOX")


def write_profile(folder: Path, more: Mapping[str, object] = {}) -> None:
    """Create a profile with :data:`PREFERENCES` and ``more``.  Raises ``FileExistsError`` if the folder exists."""
    folder.mkdir(parents=True)
    lines = (
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in {**PREFERENCES, **more}.items()
    )
    (folder / "user.js").write_text("".join(lines))
