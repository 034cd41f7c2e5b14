"""The doctor looks at ports: free, taken and by whom, privileged, on another machine's address."""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from gateway.checks import addresses, ports
from gateway.checks.findings import Finding, Level
from gateway.config import Config
from tests.doctor.run_doctor import doctor
from tests.gateway_process import run_gateway
from tools.namespaces import why_not

needs_namespaces = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def taken(kind: int) -> socket.socket:
    """A socket with a port of its own on loopback."""
    bound = socket.socket(socket.AF_INET, kind)
    bound.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        bound.listen()
    return bound


def test_everything_is_well_on_free_ports() -> None:
    report = doctor("--port", "0", "--media-port", "0", "--media-host", "127.0.0.1")
    assert report.status == 0, report.findings
    assert report.level_of("TCP 127.0.0.1:0") == "ok"
    assert {finding["level"] for finding in report.about("UDP 127.0.0.1:0")} == {"ok"}
    assert report.level_of("media to 127.0.0.1") == "ok"
    assert report.level_of("packet path") == "ok"
    assert report.level_of("randomness") == "ok"


def test_a_taken_port_names_the_process_that_has_it() -> None:
    with taken(socket.SOCK_STREAM) as page, taken(socket.SOCK_DGRAM) as media:
        tcp, udp = page.getsockname()[1], media.getsockname()[1]
        report = doctor("--port", str(tcp), "--media-port", str(udp), "--planes", "1", "--media-host", "127.0.0.1")
    assert report.status == 1
    for subject in (f"TCP 127.0.0.1:{tcp}", f"UDP 127.0.0.1:{udp}"):
        (finding,) = report.about(subject)
        assert finding["level"] == "error"
        assert f"(process {os.getpid()})" in finding["text"]
        assert finding["remedy"] == "stop it, or choose another port"


def test_a_port_that_a_running_gateway_has_is_a_warning(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--planes", "1", "--media-host", "127.0.0.1") as gateway:
        options = ("--port", str(gateway.port), "--media-port", str(gateway.media_port), "--planes", "1")
        report = doctor(*options, "--media-host", "127.0.0.1")
    assert report.status == 0, report.findings
    assert {f["level"] for kind in ("TCP", "UDP") for f in report.about(kind)} == {"warning"}
    assert "taken by a running gateway: python" in report.about("TCP")[0]["text"].lower()


async def test_a_port_on_an_address_of_another_machine_is_an_error() -> None:
    (found,) = await ports.check_tcp(Config(host="192.0.2.99"))
    assert (found.level, found.text) == (Level.ERROR, "this machine does not have the address")
    (found, *_) = await ports.check_udp(Config(media_host=("192.0.2.99",), planes=1))
    assert found.level is Level.ERROR


async def test_a_host_without_an_address_is_an_error() -> None:
    (found,) = await ports.check_tcp(Config(host="nowhere.invalid"))
    assert found.level is Level.ERROR
    assert found.text.startswith("the name has no address")


async def test_the_port_for_metrics_is_looked_at_too() -> None:
    with taken(socket.SOCK_STREAM) as metrics:
        page, found = await ports.check_tcp(Config(port=0, metrics_port=metrics.getsockname()[1]))
    assert (page.level, found.level) == (Level.OK, Level.ERROR)


@needs_namespaces
def test_a_privileged_port_is_an_error_for_a_user_without_privileges() -> None:
    # Root in a namespace of users has all privileges there, and none for the ports of the machine.
    prefix = ("unshare", "--net", "setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service")
    report = doctor("--port", "80", "--host", "0.0.0.0", "--open", prefix=prefix)
    (finding,) = report.about("TCP 0.0.0.0:80")
    assert finding["level"] == "error"
    assert finding["text"] == "only a privileged process may open this port"
    assert "CAP_NET_BIND_SERVICE" in finding["remedy"]


@needs_namespaces
def test_a_machine_whose_network_is_down_is_told_apart() -> None:
    report = doctor("--media-host", "127.0.0.1", prefix=("unshare", "--net"))  # not even loopback is up
    assert report.status == 1
    assert report.level_of("media to 127.0.0.1") == "error"


async def test_a_firewall_that_drops_media_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_LOOP_SECONDS", 0.1)
    with ExitStack() as stack:
        closed = stack.enter_context(taken(socket.SOCK_DGRAM))
        target = stack.enter_context(taken(socket.SOCK_DGRAM)).getsockname()
        assert not await addresses._arrives(closed, target)


def test_two_names_of_one_process_are_one_owner() -> None:
    with taken(socket.SOCK_DGRAM) as one, socket.fromfd(one.fileno(), one.family, one.type):
        owners = list(ports._owners("udp", one.getsockname()[1]))
    assert owners == []  # the doctor itself does not count


async def test_a_check_that_hangs_ends_in_time(autojump_clock: trio.testing.MockClock) -> None:
    from gateway.checks.doctor import SECONDS, examine

    async def hang(_: Config) -> list[Finding]:
        await trio.sleep_forever()
        raise AssertionError

    began = trio.current_time()
    (finding,) = await examine(Config(), (("name servers", hang),))
    assert (finding.level, finding.text) == (Level.UNKNOWN, f"the check did not end within {SECONDS:g} s")
    assert trio.current_time() - began == SECONDS
