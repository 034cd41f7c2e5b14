"""The doctor looks at the clock, limits, buffers and files of the machine."""

import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.checks import files, machine
from gateway.checks.findings import Level
from gateway.config import Config
from sfu.dataplane.udp import BUFFER_BYTES
from tests.doctor.run_doctor import doctor
from tools.namespaces import why_not

NOW = datetime(2026, 11, 29, tzinfo=UTC)
ALONE = ("--port", "0", "--media-port", "0", "--media-host", "127.0.0.1")

needs_namespaces = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@pytest.mark.parametrize(
    ("now", "jump", "synchronised", "levels"),
    [
        (NOW, 0.001, True, [Level.OK]),
        (NOW.replace(year=1970), 0, True, [Level.ERROR]),
        (NOW.replace(year=2106), 0, True, [Level.ERROR]),
        (NOW, -1.5, True, [Level.WARNING]),
        (NOW, 0, False, [Level.WARNING]),
        (NOW, 0, None, [Level.UNKNOWN]),
        (NOW.replace(year=1970), 3, False, [Level.ERROR, Level.WARNING, Level.WARNING]),
    ],
)
def test_a_clock_is_judged_by_year_jumps_and_synchronisation(
    now: datetime, jump: float, synchronised: bool | None, levels: list[Level]
) -> None:
    assert [finding.level for finding in machine.judge_clock(now, jump, synchronised)] == levels


def test_the_kernel_tells_whether_its_clock_is_kept() -> None:
    assert machine.is_synchronised() in (True, False, None)


@pytest.mark.parametrize(("files_allowed", "level"), [(100, "error"), (1000, "warning")])
def test_a_limit_of_open_files_below_the_limits_of_connections_is_told(files_allowed: int, level: str) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files_allowed, files_allowed))

    report = doctor(*ALONE, before=limit)
    (finding,) = report.about("open files")
    assert finding["level"] == level
    assert finding["text"] == f"{files_allowed} allowed, and the limits of connections add up to 20000"
    assert "LimitNOFILE=20000" in finding["remedy"]


def test_smaller_limits_of_connections_need_fewer_files() -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))

    few = ("--max-connections", "100", "--max-http-connections", "10", "--max-half-open-connections", "10")
    report = doctor(*ALONE, *few, "--no-media-tcp", before=limit)
    assert report.level_of("open files") == "ok"


@needs_namespaces
def test_small_socket_buffers_are_a_warning(tmp_path: Path) -> None:
    maximum = Path("/proc/sys/net/core/rmem_max")
    if int(maximum.read_text()) >= BUFFER_BYTES:
        pytest.skip("the buffers of this machine are large")
    report = doctor(*ALONE)
    (finding,) = report.about("buffer for receiving")
    assert finding["level"] == "warning"
    assert finding["remedy"] == f"sysctl -w net.core.rmem_max={BUFFER_BYTES}"


def test_buffers_smaller_than_asked_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody changes the limit of the machine for a test. A larger wish has the same effect.
    monkeypatch.setattr(machine, "BUFFER_BYTES", 1 << 30)
    receiving, sending = machine.check_buffers(Config())
    assert (receiving.level, sending.level) == (Level.WARNING, Level.WARNING)
    assert receiving.remedy == f"sysctl -w net.core.rmem_max={1 << 30}"
    assert sending.remedy == f"sysctl -w net.core.wmem_max={1 << 30}"


def test_a_page_that_is_not_built_is_a_warning(tmp_path: Path) -> None:
    (found,) = files.check_files(Config(web_root=tmp_path))
    assert (found.level, found.subject) == (Level.WARNING, "page")
    (tmp_path / "index.html").touch()
    (found,) = files.check_files(Config(web_root=tmp_path))
    assert found.level is Level.OK


def test_token_keys_must_be_readable(tmp_path: Path) -> None:
    key = tmp_path / "2026.secret"
    config = Config(token_keys=(str(key),))
    assert files.check_files(config)[0].level is Level.ERROR
    key.write_text("x" * 32)
    found = files.check_files(config)[0]
    assert (found.level, found.text) == (Level.OK, "1 keys: HS256")


def test_the_report_is_a_table_for_people() -> None:
    from gateway.checks.findings import as_table, error, ok

    shown = as_table([ok("clock", "kept"), error("TCP 0.0.0.0:80", "taken by \x1b[31mred " + "x " * 60, "stop it")])
    lines = shown.splitlines()
    assert lines[0] == "ok       clock                          kept"
    assert "\x1b" not in shown
    assert lines[-3].strip() == "→ stop it"
    assert lines[-1] == "1 ok, 1 error"
    assert max(map(len, lines)) <= 100
