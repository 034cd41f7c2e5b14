"""Chromium that may not use UDP: its media goes over the page's TCP port (ICE-TCP)."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright

from tests.browser.chromium import Chromium, run_chromium
from tests.browser.conftest import Invite
from tests.gateway_process import GatewayProcess
from tools.chromium import PERMITTED, TOUCHED

pytestmark = pytest.mark.browser

# As if a firewall let no UDP out: https://www.rfc-editor.org/rfc/rfc8828#section-5.2, mode 4.
_NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp"


@pytest.fixture(scope="module")
def without_udp(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    profile = tmp_path_factory.mktemp("chromium-without-udp") / "profile"
    with run_chromium(playwright, profile, PERMITTED, TOUCHED, _NO_UDP) as chromium:
        yield chromium


def test_a_person_without_udp_calls_one_with_udp(
    invite: Invite, without_udp: Chromium, gateway: GatewayProcess
) -> None:
    ada, ben = invite("Ada"), invite("Ben", without_udp.browser.new_context())
    ada.joins("udp")
    ben.joins("udp")
    joined = time.monotonic()
    ben.watches_and_hears(ada.user_id, by=joined + 5, seconds=3)
    ada.watches_and_hears(ben.user_id, by=joined + 8, seconds=3)
    # Both transports of Ben, and none of Ada, who has better paths.
    assert gateway.metrics()["sfu_media_streams"] >= 2
