"""Where the system has no segmentation, everything goes on, packet by packet."""

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="what to refuse is known for these")
def test_the_data_plane_is_the_same_where_the_system_has_no_segmentation() -> None:
    command = [sys.executable, "-m", "tests.without_segmentation", "-q", "tests/dataplane/test_udp.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
