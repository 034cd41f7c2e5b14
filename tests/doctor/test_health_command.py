"""``sfu-gateway health`` asks a real gateway, as health checks of containers do."""

from pathlib import Path

import pytest

from gateway import cli
from tests.front_door.made_up_certificates import make_certificate
from tests.gateway_process import run_gateway


def status_of(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        cli.main(["health", *arguments])
    return ended.value.code or 0


def test_a_healthy_gateway_and_one_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--planes", "1", "--media-host", "127.0.0.1", "--host", "0.0.0.0", "--open", "--max-connections", "1")
    with run_gateway(tmp_path / "log", *options) as gateway:
        port = str(gateway.port)
        assert status_of("--port", port) == 0
        assert status_of("--port", port, "--host", "0.0.0.0", "--ready") == 0
    capsys.readouterr()
    assert status_of("--port", port, "--seconds", "1") == 1
    assert f"127.0.0.1 port {port} does not answer" in capsys.readouterr().err


def test_a_gateway_with_tls_is_asked_over_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    options = ("--planes", "1", "--media-host", "127.0.0.1", *certificate.options)
    with run_gateway(tmp_path / "log", *options) as gateway:
        assert status_of("--port", str(gateway.port), *certificate.options) == 0
        assert status_of("--port", str(gateway.port), "--seconds", "2") == 1
