"""Real Firefox with a gateway.  The gateway has its default options unless a test says otherwise."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser.conftest import Invite
from tests.browser.firefox import Firefox, FirefoxPerson, run_firefox
from tests.gateway_process import GatewayProcess, run_gateway
from tools.firefox import ANYWHERE
from tools.namespaces import configure, enter, new_namespaces, path, why_not

pytestmark = pytest.mark.browser

needs_namespaces = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with run_firefox(tmp_path_factory.mktemp("firefox") / "profile") as firefox:
        yield firefox


def see_each_other(ada: FirefoxPerson, ben: FirefoxPerson) -> None:
    ada.watches(ben.user_id, within=10)
    ben.watches(ada.user_id, within=10)


def test_two_windows_on_the_gateways_own_machine_see_each_other(firefox: Firefox, gateway: GatewayProcess) -> None:
    ada, ben = (firefox.new_person(gateway.url, name) for name in ("Ada", "Ben"))
    ada.joins("firefox")
    ben.joins("firefox")
    see_each_other(ada, ben)
    for person in (ada, ben):
        sent = person.stats("outbound")
        # A camera has one entry for each of its sizes, and the lowest one is always sent.
        assert {entry["source"] for entry in sent} == {"microphone", "camera"}
        assert any(entry["framesEncoded"] > 0 for entry in sent if entry["source"] == "camera")
        assert all(entry["packetsSent"] > 0 for entry in sent if entry["source"] == "microphone")
        received = {entry["source"]: entry for entry in person.stats("inbound")}
        assert received.keys() == {"microphone", "camera"}
        assert received["microphone"]["totalAudioEnergy"] > 0
    for person in (ada, ben):
        person.leaves()
    gateway.becomes_empty()


def test_firefox_and_chromium_see_each_other(firefox: Firefox, gateway: GatewayProcess, invite: Invite) -> None:
    ada, ben = firefox.new_person(gateway.url, "Ada"), invite("Ben")
    ben.joins("both")
    ada.joins("both")
    joined = time.monotonic()
    ada.watches(ben.user_id, within=10)
    ben.watches_and_hears(ada.user_id, by=joined + 15)
    ada.leaves()


@needs_namespaces
def test_on_a_machine_with_loopback_alone_the_page_says_which_option_helps(tmp_path: Path) -> None:
    with new_namespaces(1):
        configure("ip", "link", "set", "lo", "up")
        with run_gateway(tmp_path / "log") as gateway, run_firefox(tmp_path / "profile") as firefox:
            ada = firefox.new_person(gateway.url, "Ada")
            ada.joins("alone")
            assert "--media-host" in ada.reads("notice", within=10)


@contextmanager
def two_machines() -> Iterator[tuple[int, int]]:
    """Network namespaces of a browser and a gateway.  Signalling uses 10.0.1.0/24, media uses 10.0.2.0/24."""
    with new_namespaces(2) as (browser, gateway):
        for number in (1, 2):
            near, far = f"near{number}", f"far{number}"
            configure("ip", "link", "add", "name", far, "type", "veth", "peer", "name", near)
            configure("ip", "link", "set", near, "netns", path(browser))
            up(far, f"10.0.{number}.1/24")
            enter(browser)
            up(near, f"10.0.{number}.2/24")
            enter(gateway)
        enter(browser)
        up("lo")
        configure("ip", "route", "add", "default", "via", "10.0.2.1")
        yield browser, gateway


def up(link: str, address: str | None = None) -> None:
    if address is not None:
        configure("ip", "address", "add", address, "dev", link)
    configure("ip", "link", "set", link, "up")


@pytest.mark.alone
@needs_namespaces
def test_five_seconds_without_a_network_for_media_cost_no_producer(tmp_path: Path) -> None:
    options = ("--host", "10.0.1.1", "--open", "--media-host", "10.0.2.1", "--planes", "1")
    with two_machines() as (browser, far):
        enter(far)
        with run_gateway(tmp_path / "log", *options) as gateway:
            enter(browser)
            with run_firefox(tmp_path / "profile", ANYWHERE) as firefox:
                ada, ben = (firefox.new_person(gateway.url, name) for name in ("Ada", "Ben"))
                ada.joins("gap")
                ben.joins("gap")
                see_each_other(ada, ben)
                before = ada.producers()
                assert len(before) == 4

                # Like pulling a cable: Firefox notices at once that it cannot send.
                configure("ip", "link", "set", "near2", "down")
                time.sleep(5)
                configure("ip", "link", "set", "near2", "up")
                for one, other in ((ada, ben), (ben, ada)):
                    one.watches_again(other.user_id, within=15)
                    assert one.producers() == before
