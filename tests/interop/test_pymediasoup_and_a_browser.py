"""pymediasoup and Chromium in one channel receive each other's media."""

import time
from pathlib import Path

import pytest

from tests.browser.conftest import Invite
from tests.gateway_process import GatewayProcess
from tests.interop.participant import run_participant

pytestmark = pytest.mark.browser


def test_a_browser_and_pymediasoup_hear_and_see_each_other(
    invite: Invite, gateway: GatewayProcess, tmp_path: Path
) -> None:
    ada = invite("Ada")
    ada.joins("mixed")
    with run_participant(gateway, "mixed", "Robin", tmp_path) as robin:
        ada.sees_together(2, within=15)
        ada.watches_and_hears(robin.user_id, by=time.monotonic() + 15)
        red, green, blue = ada.colour_of(robin.user_id)
        assert red > green > blue  # Robin's picture is red

        robin.receives(ada.user_id, "microphone", lambda now: now["frames"] > 50 and now["energy"] > 0.01)
        camera = robin.receives(ada.user_id, "camera", lambda now: now["frames"] > 20)
        assert camera is not None
        assert camera["width"] / camera["height"] == pytest.approx(4 / 3, abs=0.5)
        assert max(camera["colour"]) < 110  # Chromium's fake camera is green: little blue, little red

    ada.sees_together(1, within=2)


def test_a_browser_that_leaves_is_no_longer_received(invite: Invite, gateway: GatewayProcess, tmp_path: Path) -> None:
    ada = invite("Ada")
    ada.joins("goes")
    ada_id = ada.user_id
    with run_participant(gateway, "goes", "Robin", tmp_path) as robin:
        robin.receives(ada_id, "camera", lambda now: now["frames"] > 5)
        ada.closes_tab()
        robin.no_longer_receives(ada_id)

        eve = invite("Eve")
        eve.joins("goes")
        robin.receives(eve.user_id, "camera", lambda now: now["frames"] > 5)
        eve.watches_and_hears(robin.user_id, by=time.monotonic() + 10)


def test_a_silent_client_is_gone_within_ten_seconds(invite: Invite, gateway: GatewayProcess, tmp_path: Path) -> None:
    ada = invite("Ada")
    ada.joins("silent")
    with run_participant(gateway, "silent", "Robin", tmp_path) as robin:
        ada.watches_and_hears(robin.user_id, by=time.monotonic() + 15)
        with ada.will_see_together(1, within=10.5):  # the notice to the browser takes time too
            robin.freezes()
        robin.is_killed()
