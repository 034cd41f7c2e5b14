"""The sources of settings, their priority, and the messages about unusable settings."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from gateway import cli
from gateway.config import SETTINGS


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SFU_"):
            monkeypatch.delenv(name)


def run(*arguments: str) -> int:
    """Run the command and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    status = ended.value.code or 0
    assert isinstance(status, int)
    return status


def effective(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the configuration that ``sfu-gateway config`` prints, read as TOML."""
    assert run("config", *arguments) == 0
    return tomllib.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line about an unusable configuration."""
    assert run("config", *arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.removesuffix("\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text('port = 1001\nping_interval = 1\nping_timeout = 1\nmedia_host = ["::1"]\nhost = "file"\n')
    return path


def test_by_default_the_gateway_listens_on_this_machine_only(capsys: pytest.CaptureFixture[str]) -> None:
    got = effective(capsys)
    assert (got["host"], got["port"], got["media_port"]) == ("127.0.0.1", 8080, 40000)
    assert "media_host" not in got  # loopback and one interface address, which depends on the machine


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_defaults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setenv("SFU_PORT", "1002")
    monkeypatch.setenv("SFU_PING_TIMEOUT", "2")
    got = effective(capsys, "--config", str(file), "--port", "1003")
    assert got["port"] == 1003
    assert got["ping_timeout"] == 2
    assert got["ping_interval"] == 1
    assert got["goodbye_timeout"] == 1
    assert got["host"] == "file"


def test_the_environment_can_name_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setenv("SFU_CONFIG", str(file))
    assert effective(capsys)["port"] == 1001


def test_a_list_replaces_a_list_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    assert effective(capsys, "--config", str(file))["media_host"] == ["::1"]
    monkeypatch.setenv("SFU_MEDIA_HOST", "10.0.0.1 10.0.0.2")
    assert effective(capsys, "--config", str(file))["media_host"] == ["10.0.0.1", "10.0.0.2"]
    got = effective(capsys, "--config", str(file), "--media-host", "10.0.0.3", "--media-host", "10.0.0.4")
    assert got["media_host"] == ["10.0.0.3", "10.0.0.4"]
    got = effective(capsys, "--media-host", "10.0.0.5", "10.0.0.6", "--port", "1002")
    assert got["media_host"] == ["10.0.0.5", "10.0.0.6"]


def test_a_switch_can_be_turned_off_and_on_from_everywhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert effective(capsys)["video_orientation"] is True
    assert effective(capsys, "--no-video-orientation")["video_orientation"] is False
    monkeypatch.setenv("SFU_VIDEO_ORIENTATION", "false")
    assert effective(capsys)["video_orientation"] is False
    assert effective(capsys, "--video-orientation")["video_orientation"] is True


def test_a_misspelt_variable_causes_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio, "run", lambda *_: None)
    for name in ("SFU_PROT", "SFU_CONFIGG", "SFU_PORT", "SFU_CONFIG", "SFU_HOME", "SFU_IMAGE_TAG"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(cli, "configure", lambda *_, **__: None)
    with structlog.testing.capture_logs() as logs:
        assert cli.serve() == 0
    assert {line["name"]: line["hint"] for line in logs} == {
        "SFU_PROT": "did you mean SFU_PORT?",
        "SFU_CONFIGG": "did you mean SFU_CONFIG?",
    }


@pytest.mark.parametrize("source", ["file", "environment", "command line"])
def test_ice_servers_can_come_from_everywhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    arguments = []
    if source == "file":
        path = tmp_path / "gateway.toml"
        path.write_text('ice_servers = [{urls = ["turn:a", "turn:b"], username = "u", credential = "c"}]')
        arguments = ["--config", str(path)]
    else:
        value = '[{"urls": ["turn:a", "turn:b"], "username": "u", "credential": "c"}]'
        arguments = ["--ice-servers", value] if source == "command line" else []
        if source == "environment":
            monkeypatch.setenv("SFU_ICE_SERVERS", value)
    got = effective(capsys, *arguments)["ice_servers"]
    assert got == [{"urls": ["turn:a", "turn:b"], "username": "u", "credential": "********"}]


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFU_JOIN_TOKEN", "open-sesame")
    assert run("config", "--admin-token", "abracadabra") == 0
    printed = capsys.readouterr().out
    assert "open-sesame" not in printed
    assert "abracadabra" not in printed
    assert tomllib.loads(printed)["join_token"] == "********"


def test_a_control_character_is_printed_as_toml_allows_it(capsys: pytest.CaptureFixture[str]) -> None:
    shown = effective(capsys, "--token-keys", "k", "--token-audience", "a\x7f\x01\n")
    assert shown["token_audience"] == "a\x7f\x01\n"


def test_every_setting_is_printed_with_its_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config") == 0
    blocks = capsys.readouterr().out.strip().split("\n\n")
    assert len(blocks) == len(SETTINGS)
    for setting, block in zip(SETTINGS, blocks, strict=True):
        *explanation, value = block.splitlines()
        assert " ".join(explanation).strip("# "), setting.name
        assert value.removeprefix("# ").startswith(f"{setting.name} =")


def test_every_setting_is_an_option_of_serve_with_its_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("serve", "--help") == 0
    printed = "".join(capsys.readouterr().out.split())
    for setting in SETTINGS:
        assert f"SFU_{setting.name.upper()}" in "".join(char for char in printed if char != "│"), setting.name


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--prot", "1"], "error: Unknown option: --prot. Did you mean --port?"),
        (["--port", "eighty"], 'error: Invalid value for --port: unable to convert "eighty" into int.'),
        (["--port", "65536"], "error: port must be from 0 to 65535, not 65536"),
        (["--media-port", "-1"], "error: media_port must be from 0 to 65535, not -1"),
        (["--ping-interval", "0"], "error: ping_interval must be from 0.001 to 2592000, not 0.0"),
        (["--ping-interval", "nan"], "error: ping_interval must be from 0.001 to 2592000, not nan"),
        (["--exit-timeout", "inf"], "error: exit_timeout must be from 0.001 to 2592000, not inf"),
        (["--max-members", "0"], "error: max_members must be from 1 to 1000000000, not 0"),
        (["--join-token", ""], "error: join_token must not be empty; leave it out instead"),
        (["--silence-timeout", "1"], "error: silence_timeout must not be shorter than disconnected_after"),
        *(
            (
                ["--allowed-origins", "https://fine.example", origin],
                "error: allowed_origins must hold origins like https://call.example.org or "
                "https://call.example.org:8443, without a path or a pattern, and with xn--… for letters that are not "
                f"ASCII, not {origin!r}",
            )
            for origin in (
                "call.example.org",
                "call.example.org:443",
                "//call.example.org",
                "https://call.example.org/call",
                "https://call.example.org?x",
                "https://call.example.org#x",
                "https://user@call.example.org",
                "https://*.example.org",
                "https://call.example.org:65536",
                "https://call.example.org:https",
                "https://call.example.org, https://two.example.org",
                "https://bücher.example",
                "https://[::1",
                "https://[::g]",
                "https://",
                "",
            )
        ),
        (["--config", "/nowhere.toml"], "error: cannot read /nowhere.toml: No such file or directory"),
    ],
)
def test_an_unusable_setting_gives_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert refusal(capsys, *arguments) == complaint


def test_a_variable_of_the_wrong_type_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFU_MAX_MEMBERS", "many")
    assert "SFU_MAX_MEMBERS" in refusal(capsys)


def test_a_file_with_an_unknown_key_gives_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("prot = 1")
    assert refusal(capsys, "--config", str(path)) == f"error: {path}: unknown key 'prot'; did you mean 'port'?"


def test_a_file_is_checked_even_if_its_settings_are_overridden(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('port = "8080"')
    assert "port must be a whole number" in refusal(capsys, "--config", str(path), "--port", "1")


def test_an_unknown_command_gives_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("srve") == 2
    assert capsys.readouterr().err.startswith('error: Unknown command "srve".')


def test_the_command_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.strip().count(".") == 2


def test_any_system_but_linux_gives_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert refusal(capsys, "config") == "error: sfu-gateway runs on Linux only"


def test_printing_the_configuration_to_a_closed_pipe_gives_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "gateway", "config"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=30)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_credential_in_broken_json_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SFU_ICE_SERVERS", '{"urls":["turn:x"],"credential":"hunter2",')
    assert run("config") == 2
    shown = capsys.readouterr().err
    assert "SFU_ICE_SERVERS" in shown
    assert "hunter2" not in shown
    assert len(shown.splitlines()) == 1
