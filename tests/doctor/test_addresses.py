"""The doctor looks at the addresses that clients get."""

import socket

import pytest

from gateway.checks import addresses
from gateway.checks.findings import Finding, Level
from gateway.config import Config
from sfu.addresses import machine_addresses
from sfu.dataplane.udp import can_bind
from tests.doctor.run_doctor import Report, doctor
from tools.namespaces import why_not

needs_namespaces = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def of(findings: list[Finding], subject: str) -> Finding:
    (found,) = (finding for finding in findings if finding.subject == subject)
    return found


def in_namespace(script: str, *options: str) -> Report:
    """Run the doctor in a network namespace of its own, after a script that sets its addresses."""
    return doctor(*options, prefix=("unshare", "--net", "sh", "-ec", f'ip link set lo up\n{script}\nexec "$@"', "sh"))


async def test_loopback_is_fine_for_this_machine_and_useless_for_others() -> None:
    alone = await addresses.check_announced(Config(media_host=("127.0.0.1",)))
    assert of(alone, "address 127.0.0.1").level is Level.OK
    others = await addresses.check_announced(Config(media_host=("127.0.0.1",), host="0.0.0.0", open=True))
    assert of(others, "address 127.0.0.1").level is Level.WARNING
    assert "which the internet does not reach" in of(others, "media_announce").text


@pytest.mark.parametrize(
    ("announced", "level", "text"),
    [
        ("8.8.8.8", Level.OK, "leads to clients on the internet"),
        ("192.168.7.7", Level.OK, "leads to clients on the same network"),
        ("100.64.1.1", Level.WARNING, "belongs to the NAT of a provider"),
    ],
)
async def test_an_announced_address_says_where_it_leads(announced: str, level: Level, text: str) -> None:
    config = Config(media_host=("127.0.0.1",), media_announce=(announced,), host="0.0.0.0", open=True)
    found = of(await addresses.check_announced(config), f"media_announce {announced}")
    assert found.level is level
    assert found.text.startswith(text)


async def test_a_name_that_does_not_resolve_is_an_error() -> None:
    config = Config(media_host=("127.0.0.1",), media_announce=("nowhere.invalid",))
    (found,) = await addresses.check_announced(config)
    assert (found.level, found.subject) == (Level.ERROR, "media_announce")
    assert "'nowhere.invalid' cannot be resolved" in found.text
    (found,) = await addresses.check_announced(Config(media_tcp_announce=("nowhere.invalid:443",)))
    assert (found.level, found.subject) == (Level.ERROR, "media_tcp_announce")
    (found,) = await addresses.check_announced(Config(media_host=("nowhere.invalid",)))
    assert (found.level, found.subject) == (Level.ERROR, "media_host")


async def test_an_announcement_for_nobody_is_a_warning() -> None:
    config = Config(media_host=("127.0.0.1",), media_announce=("192.0.2.9",))
    found = of(await addresses.check_announced(config), "media_announce")
    assert (found.level, found.text[:36]) == (Level.WARNING, "the page is for this machine alone, ")


@pytest.mark.skipif(not socket.has_ipv6 or not can_bind("::1"), reason="no IPv6 here")
async def test_an_announcement_that_forgets_one_version_of_ip_is_a_warning() -> None:
    config = Config(media_host=("127.0.0.1", "::1"), media_announce=("8.8.8.8",), host="0.0.0.0", open=True)
    found = of(await addresses.check_announced(config), "media_announce")
    assert (found.level, found.text) == (
        Level.WARNING,
        "has no IPv6 address, though the gateway listens on one",
    )


async def test_a_way_through_a_nat_that_cannot_be_tried_here_says_so() -> None:
    own = next((each.address for each in machine_addresses() if each.rank == 0 and each.version == 4), None)
    if own is None:
        pytest.skip("no network address here")
    config = Config(media_host=(own,), media_announce=("192.0.2.200",), media_port=0)
    (found,) = await addresses.check_loop(config)
    assert found.level is Level.UNKNOWN
    assert "from another network" in found.remedy


async def test_an_announced_address_with_nothing_behind_it_is_a_warning() -> None:
    config = Config(media_host=("127.0.0.1",), media_announce=("192.0.2.200",))
    (found,) = await addresses.check_loop(config)
    assert (found.level, found.text) == (Level.WARNING, "the gateway listens on no IPv4 address behind this one")


@needs_namespaces
def test_a_machine_without_ipv6_is_fine_unless_it_was_asked_for() -> None:
    off = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"
    assert in_namespace(off).level_of("IPv6") == "ok"
    report = in_namespace(off, "--media-host", "127.0.0.1", "::1")
    (finding,) = report.about("IPv6")
    assert (finding["level"], finding["remedy"]) == ("error", "leave ::1 out")


@needs_namespaces
def test_an_ipv6_address_that_clients_do_not_get_is_a_warning() -> None:
    link = "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; "
    link += "ip address add 10.9.9.9/24 dev d0; ip address add 2a00:1450::7/64 dev d0 nodad"
    options = ("--media-host", "10.9.9.9", "--host", "0.0.0.0", "--open")
    (finding,) = in_namespace(link, *options).about("IPv6")
    assert finding["level"] == "warning"
    assert "2a00:1450::7" in finding["remedy"]
    assert in_namespace(link, *options, "--media-host", "2a00:1450::7").level_of("IPv6") == "ok"
