"""Without segmentation of the system (UDP GSO and GRO) everything works, packet by packet."""

import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="the seccomp filter is written for other architectures"
)
def test_the_tests_of_the_data_plane_pass_without_segmentation() -> None:
    command = [sys.executable, "-m", "tests.without_segmentation", "-q", "tests/dataplane/test_udp.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
