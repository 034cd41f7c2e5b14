"""``sfu-loadtest`` where only the gateway is installed."""

import subprocess
import sys

import pytest

_WITHOUT = "import sys; sys.modules[{package!r}] = None; from tools.loadtest.command import main; main()"


@pytest.mark.parametrize("package", ["aioice", "av", "pylibsrtp"])
def test_without_the_extra_one_line_names_it(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(package=package), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: {package} is missing. Install the dependencies of sfu-loadtest: pip install 'trio-sfu[loadtest]'\n"
    )
