"""``sfu-gateway check-config``: every mistake at once, and advice about likely ones."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from gateway.config import Config
from tests.front_door.made_up_certificates import DAY, make_certificate

SECRET = "a secret of at least sixteen characters"
SERVES_OTHERS = ("--allowed-hosts", "call.example.org", "--open")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SFU_"):
            monkeypatch.delenv(name)


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the command. Return its status and its findings."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["check-config", "--json", *arguments])
    read = json.loads(capsys.readouterr().out)
    status = ended.value.code or 0
    assert isinstance(status, int)
    assert read["ok"] is (status == 0)
    return status, read["findings"]


def of_level(findings: list[dict[str, Any]], level: str) -> list[str]:
    return [f"{finding['subject']}: {finding['text']}" for finding in findings if finding["level"] == level]


def test_the_defaults_are_fine(capsys: pytest.CaptureFixture[str]) -> None:
    status, findings = check(capsys)
    assert (status, [finding["level"] for finding in findings]) == (0, ["ok"])


def test_every_mistake_of_every_source_is_named_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('prot = 1\nport = "x"\nmedia_port = 70000\nsilence_timeout = 1\ntoken_issuer = "me"\n')
    monkeypatch.setenv("SFU_MAX_MEMBERS", "many")
    status, findings = check(capsys, "--config", str(file), "--prto", "3", "--ping-interval", "0")
    assert status == 1
    mistakes = of_level(findings, "error")
    assert sorted(mistakes) == sorted(
        [
            f"configuration: {file}: unknown key 'prot'; did you mean 'port'?",
            f"configuration: {file}: port must be a whole number, not 'x'",
            "configuration: media_port must be from 0 to 65535, not 70000",
            "configuration: ping_interval must be from 0.001 to 2592000, not 0.0",
            'configuration: Invalid value for SFU_MAX_MEMBERS from env: unable to convert "many" into int.',
            "configuration: token_audience and token_issuer need token_keys, or nobody checks them",
            "configuration: silence_timeout must not be shorter than disconnected_after",
            "configuration: unknown option --prto; did you mean --port?",
        ]
    )


@pytest.mark.parametrize("content", ["port = ", "\udcff", None])
def test_a_file_that_cannot_be_read_is_one_mistake(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "gateway.toml"
    if content is not None:
        file.write_text(content, errors="surrogateescape")
    status, findings = check(capsys, "--config", str(file))
    assert status == 1
    assert len(of_level(findings, "error")) == 1
    assert str(file) in of_level(findings, "error")[0]


def test_a_wrong_secret_is_not_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFU_ICE_SERVERS", '{"urls":["turn:x"],"credential":"hunter2",')
    status, findings = check(capsys)
    assert status == 1
    assert "hunter2" not in json.dumps(findings)
    assert "SFU_ICE_SERVERS" in json.dumps(findings)


def test_what_would_stop_the_start_is_an_error_although_each_setting_is_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert of_level(check(capsys, "--host", "0.0.0.0")[1], "error")[0].startswith("open: host 0.0.0.0 lets other")
    (mistake,) = of_level(check(capsys, "--token-keys", "/nowhere.pem")[1], "error")
    assert mistake == "token_keys: cannot read the token key /nowhere.pem: No such file or directory"
    (mistake,) = of_level(check(capsys, "--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key")[1], "error")
    assert mistake == "tls_cert: cannot read tls-cert /nowhere.pem: No such file or directory"


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        (("--admin-token", "short"), "admin_token: has fewer than 16 characters, so others may guess it"),
        (("--join-token", SECRET), "join_token: the secret is on the command line"),
        (("--open", "--join-token", SECRET), "open: has no effect"),
        ((*SERVES_OTHERS, "--kiosk"), "kiosk: every page with join=1"),
        (SERVES_OTHERS, "trusted_proxies: the proxy on this machine is not named"),
        (("--open", "--trusted-proxies", "0.0.0.0/0"), "trusted_proxies: 0.0.0.0/0 is everybody"),
        (("--allowed-origins", "*"), "allowed_origins: lets pages of all sites connect"),
        (("--allowed-origins", "http://call.example.org"), "allowed_origins: browsers give pages from"),
        (SERVES_OTHERS, "metrics_port: metrics are on the public port"),
        (("--metrics-port", "9", "--metrics-host", "192.0.2.1"), "metrics_host: other machines can read"),
        (SERVES_OTHERS, "media_host: is not set"),
        ((*SERVES_OTHERS, "--media-host", "127.0.0.1"), "media_host: has loopback alone"),
        ((*SERVES_OTHERS, "--media-announce", "127.0.0.1"), "media_announce: has loopback alone"),
        (("--media-tcp-announce", "192.0.2.1", "--no-media-tcp"), "media_tcp_announce: has no effect"),
        (("--turn-secret", SECRET), "turn_secret: has no effect"),
        (("--max-stranger-bytes", "8192", "--max-message-bytes", "4096"), "max_stranger_bytes: is 8192, more than"),
        (("--message-backlog-bytes", "70000", "--outbox-bytes", "65536"), "message_backlog_bytes: is 70000"),
        (("--max-members", "20000"), "max_members: is 20000, more than max_connections (10000)"),
        (("--work-share", "0.9"), "work_share: is 0.9, more than address_work_share (0.5)"),
        (("--request-burst", "5"), "request_burst: is smaller than request_rate"),
        (("--host", "0.0.0.0", "--open"), "tls_cert: is not set, and browsers give pages over http neither"),
        (("--web-root", "/nowhere"), "web_root: /nowhere has no index.html"),
    ],
)
def test_a_likely_mistake_is_a_warning(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], warning: str
) -> None:
    status, findings = check(capsys, *arguments)
    assert status == 0
    assert any(line.startswith(warning) for line in of_level(findings, "warning")), findings


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("--media-announce", "0.0.0.0"), "media_announce: clients cannot send to 0.0.0.0"),
        (("--metrics-port", "8080"), "metrics_port: is the port of the page (8080)"),
        (("--ice-servers", '{"urls":["turn:x"]}'), "ice_servers: turn:x has no credential, and browsers refuse it"),
        (("--ice-servers", '{"urls":["x"]}'), "ice_servers: x does not begin with stun:"),
    ],
)
def test_a_setting_with_which_nobody_could_call_is_an_error(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], mistake: str
) -> None:
    status, findings = check(capsys, *arguments)
    assert status == 1
    assert any(line.startswith(mistake) for line in of_level(findings, "error")), findings


def test_a_misspelt_variable_is_a_warning(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFU_PROT", "1")
    status, findings = check(capsys)
    assert (status, of_level(findings, "warning")) == (0, ["environment: SFU_PROT is no setting"])


@pytest.mark.parametrize(("mode", "is_safe"), [(0o600, True), (0o640, True), (0o644, False)])
def test_a_file_with_a_secret_that_everybody_can_read_is_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mode: int, is_safe: bool
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'admin_token = "{SECRET}"')
    file.chmod(mode)
    warnings = of_level(check(capsys, "--config", str(file))[1], "warning")
    assert warnings == ([] if is_safe else [f"admin_token: {file} has a secret, and others may read it"])


def test_a_key_that_others_can_read_is_a_warning(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    key = tmp_path / "2026.secret"
    key.write_text("x" * 32)
    key.chmod(0o640)
    assert of_level(check(capsys, "--token-keys", str(key))[1], "warning")
    key.chmod(0o600)
    assert not of_level(check(capsys, "--token-keys", str(key))[1], "warning")


def test_a_tls_key_that_everybody_can_read_is_a_warning(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = make_certificate(tmp_path, end=30 * DAY)
    given = ("--tls-cert", str(files.cert), "--tls-key", str(files.key))
    files.key.chmod(0o644)
    (found,) = of_level(check(capsys, *given)[1], "warning")
    assert found == f"tls_key: {files.key} has a secret, and others may read it"
    files.key.chmod(0o640)  # a group for certificates is usual
    assert not of_level(check(capsys, *given)[1], "warning")


def test_it_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["check-config", "--host", "0.0.0.0", "--admin-token", "abc"])
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error    open                           host 0.0.0.0 lets other machines connect")
    assert any(line.strip().startswith("→ take a random text") for line in lines)
    assert lines[-1].endswith("1 error")
    assert max(map(len, lines)) <= 100


def test_the_file_that_the_operating_page_shows_needs_no_advice(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    file = tmp_path / "gateway.toml"
    file.write_text(page.partition("```toml\n")[2].partition("```")[0])
    file.chmod(0o600)
    status, findings = check(capsys, "--config", str(file))
    assert (status, of_level(findings, "warning")) == (0, [])


def test_the_checked_configuration_is_the_one_that_serve_would_use(tmp_path: Path) -> None:
    from gateway.checks.collected import CollectedSettings

    file = tmp_path / "gateway.toml"
    file.write_text('media_host = ["::1"]\nport = 7')
    collected = CollectedSettings()
    cli._collected.set(collected)
    cli.app.parse_known_args(["check-config", "--config", str(file), "--port", "9", "--no-open"])
    assert collected.config == Config(media_host=("::1",), port=9, open=False)
    assert collected.sources == {"media_host": str(file), "port": "cli", "open": "cli"}
