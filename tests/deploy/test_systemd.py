"""The unit of systemd: systemd accepts it, its times fit the gateway's, and the gateway lives with its restrictions."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.cli import app
from gateway.config import Config
from gateway.config.open_files import open_files_wanted
from tests.doctor.run_doctor import doctor

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "sfu-gateway.service"
TEXT = UNIT.read_text(encoding="utf-8")
MOST_EXPOSED = 2.0
"""Of 10, as systemd-analyze counts. A usual service has 9.6."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (Debian: util-linux)")


def value(key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", TEXT, re.MULTILINE)
    return str(found)


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    here = tmp_path / UNIT.name  # nobody has installed the gateway here
    here.write_text(re.sub(r"=(-?)/opt/sfu-gateway/bin/sfu-gateway", r"=\1/bin/true", TEXT))
    done = subprocess.run(("systemd-analyze", "verify", here), capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_hardened() -> None:
    done = subprocess.run(
        ("systemd-analyze", "security", "--offline=true", UNIT), capture_output=True, text=True, timeout=30
    )
    exposure = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    assert float(exposure[1]) <= MOST_EXPOSED


def test_the_times_and_limits_fit_those_of_the_gateway() -> None:
    assert int(value("TimeoutStopSec")) >= Config().drain_timeout + 30
    assert int(value("LimitNOFILE")) >= open_files_wanted(Config(metrics_port=9090))
    assert value("Type") == "notify"  # gateway/ops/supervisor.py


def test_a_reload_hangs_up_and_the_state_has_a_folder() -> None:
    assert value("ExecReload") == "/bin/kill -HUP $MAINPID"  # gateway/reload.py
    assert f'state_dir = "/var/lib/{value("StateDirectory")}"' in TEXT


def test_the_commands_of_the_unit_exist() -> None:
    commands = re.findall(r"^Exec\w+=-?/opt/sfu-gateway/bin/sfu-gateway (\S+)$", TEXT, re.MULTILINE)
    assert commands == ["check-config", "serve"]
    assert all(command in app for command in commands)


@needs_setpriv
def test_without_privileges_on_a_read_only_file_system_the_doctor_finds_nothing_wrong() -> None:
    confined = "mount -o remount,bind,ro / && exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs"
    prefix = ("unshare", "--mount", "sh", "-ec", f'{confined} "$@"', "sh")
    if subprocess.run((*prefix, "true"), capture_output=True, timeout=30).returncode:
        pytest.skip("no mount namespaces here")
    report = doctor("--port", "0", "--media-port", "0", "--media-host", "127.0.0.1", prefix=prefix)
    assert report.status == 0, report.findings
    assert report.level_of("packet path") == "ok"
