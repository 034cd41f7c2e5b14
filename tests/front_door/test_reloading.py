"""SIGHUP: the gateway reads its files again, drops nobody, and never ends."""

import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509

from gateway.config import Config
from gateway.config.reloading import NEEDS_RESTART, merge
from protocol import client
from tests.front_door.made_up_certificates import DAY, Files, make_certificate
from tests.front_door.memory_front_door import upgrade
from tests.gateway_process import ENVIRONMENT, GatewayProcess, poll_until, run_gateway

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")


@contextmanager
def running(folder: Path, content: str, *options: str) -> Iterator[tuple[GatewayProcess, Path]]:
    """Run a gateway with a configuration file."""
    file = folder / "gateway.toml"
    file.write_text(content)
    with run_gateway(folder / "log", "--config", str(file), *options) as gateway:
        yield gateway, file


def hang_up(gateway: GatewayProcess) -> dict[str, Any]:
    """Send SIGHUP. Return the line of the log about it."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in gateway.log() if line["event"].startswith("configuration ")]

    before = len(lines())
    gateway.process.send_signal(signal.SIGHUP)
    return poll_until(lines, lambda found: len(found) > before, within=20)[before]


async def join(url: str, name: str, token: str | None = None, context: ssl.SSLContext | None = None) -> None:
    async with client.connect(url, ssl_context=context) as connected:
        await connected.join("lobby", name, token=token)


def served_certificate(gateway: GatewayProcess) -> x509.Certificate:
    pem = ssl.get_server_certificate(("127.0.0.1", gateway.port))
    return x509.load_pem_x509_certificate(pem.encode())


async def test_join_token_limits_and_log_level_change_and_nobody_is_dropped(tmp_path: Path) -> None:
    with running(tmp_path, 'join_token = "old"\n') as (gateway, file):
        async with client.connect(gateway.websocket_url) as ada:
            await ada.join("lobby", "Ada", token="old")
            file.write_text('join_token = "new"\nlog_level = "warning"\nmax_members = 1\nallowed_hosts = []\n')
            line = await trio.to_thread.run_sync(hang_up, gateway)
            assert line["event"] == "configuration reloaded"
            assert line["changed"] == ["log_level", "join_token", "max_members"]
            assert "new" not in str(line)
            await ada.ping()
            with pytest.raises((client.RequestError, client.ConnectionClosed)):
                await join(gateway.websocket_url, "Ben", "old")
            await join(gateway.websocket_url, "Ben", "new")
        # Each of these would make lines of the level info.
        assert gateway.log()[-1] == line


async def test_a_bad_file_keeps_the_old_settings_and_one_line_says_why(tmp_path: Path) -> None:
    with running(tmp_path, 'join_token = "old"\n') as (gateway, file):
        async with client.connect(gateway.websocket_url) as ada:
            await ada.join("lobby", "Ada", token="old")
            for bad, why in (
                ('join_token = "secret', "is not TOML"),
                ('join_tokken = "secret"', "unknown key 'join_tokken'; did you mean 'join_token'?"),
                ('join_token = "secret"\nport = "eighty"', "port must be a whole number"),
                ('join_token = "secret"\nmax_members = 0', "max_members must be from 1"),
                ('token_keys = ["absent.key"]', "cannot read the token key absent.key"),
                ('allowed_hosts = ["call.example.org"]', "everybody there may join"),
            ):
                file.write_text(bad)
                line = await trio.to_thread.run_sync(hang_up, gateway)
                assert line["event"] == "configuration not reloaded"
                assert why in line["why"]
                assert "secret" not in line["why"].replace("join_token", "")
            file.unlink()
            line = await trio.to_thread.run_sync(hang_up, gateway)
            assert "cannot read" in line["why"]
            await ada.ping()
            await join(gateway.websocket_url, "Ben", "old")


def test_what_needs_a_restart_is_named_and_left(tmp_path: Path) -> None:
    with running(tmp_path, "max_members = 5\n") as (gateway, file):
        file.write_text('max_members = 6\nmax_producers = 3\nweb_root = "/nowhere"\n')
        assert hang_up(gateway)["changed"] == ["max_members"]
        [line] = [line for line in gateway.log() if line["event"] == "settings need a restart"]
        assert line["settings"] == ["web_root", "max_producers"]


def test_the_command_line_still_wins(tmp_path: Path) -> None:
    with running(tmp_path, 'join_token = "file"\n', "--max-members", "7") as (gateway, file):
        file.write_text('join_token = "file"\nmax_members = 9\n')
        assert hang_up(gateway)["changed"] == []


async def test_the_certificate_changes_for_new_connections(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    with run_gateway(tmp_path / "log", *files.options) as gateway:
        context = files.client_context()
        url = gateway.websocket_url.replace("127.0.0.1", "localhost")
        async with client.connect(url, ssl_context=context) as ada:
            await ada.join("lobby", "Ada")
            before = await trio.to_thread.run_sync(served_certificate, gateway)
            make_certificate(tmp_path)
            assert (await trio.to_thread.run_sync(hang_up, gateway))["event"] == "configuration reloaded"
            after = await trio.to_thread.run_sync(served_certificate, gateway)
            assert before.serial_number != after.serial_number
            for bad in (_mismatch, _expire):
                bad(files, tmp_path)
                line = await trio.to_thread.run_sync(hang_up, gateway)
                assert line["event"] == "configuration not reloaded"
                assert "tls-cert" in line["why"]
                kept = await trio.to_thread.run_sync(served_certificate, gateway)
                assert kept.serial_number == after.serial_number
            await ada.ping()
            await join(url, "Ben", context=context)


def _mismatch(files: Files, folder: Path) -> None:
    files.key.write_bytes(make_certificate(folder, "other").key.read_bytes())


def _expire(files: Files, folder: Path) -> None:
    make_certificate(folder, begin=-2 * DAY, end=-DAY)


async def test_token_keys_are_read_again(tmp_path: Path) -> None:
    keys = tmp_path / "now.secret"
    keys.write_text("a" * 40)
    with run_gateway(tmp_path / "log", "--token-keys", str(keys)) as gateway:
        await join(gateway.websocket_url, "Ada", made_token(keys))
        old = made_token(keys)
        keys.write_text("b" * 40)
        assert (await trio.to_thread.run_sync(hang_up, gateway))["event"] == "configuration reloaded"
        await join(gateway.websocket_url, "Ada", made_token(keys))
        with pytest.raises((client.RequestError, client.ConnectionClosed)):
            await join(gateway.websocket_url, "Ada", old)


def test_the_port_of_the_metrics_takes_the_new_settings_too(tmp_path: Path) -> None:
    content = 'metrics_port = 0\njoin_token = "a secret"\n'
    with running(tmp_path, content) as (gateway, file):
        url = next(line["metrics"] for line in gateway.log() if line["event"] == "listening")
        asked = urllib.request.Request(url + "/metrics", headers={"Host": "metrics.example.org"})
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(asked, timeout=5)
        file.write_text(content + 'allowed_hosts = ["metrics.example.org"]\n')
        assert hang_up(gateway)["event"] == "configuration reloaded"
        with urllib.request.urlopen(asked, timeout=5) as answer:
            assert answer.status == 200


def made_token(keys: Path) -> str:
    command = [sys.executable, "-m", "gateway", "token", "--token-keys", str(keys), "--channel", "*", "--user", "ada"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout.strip()


def test_a_hundred_hangups_do_no_harm(tmp_path: Path) -> None:
    with running(tmp_path, "max_members = 5\n") as (gateway, file):
        files = len(gateway.open_files())
        file.write_text("max_members = 6\n")
        for number in range(100):
            gateway.process.send_signal(signal.SIGHUP)
            time.sleep(0.005 * (number % 3))
        assert hang_up(gateway)["event"] == "configuration reloaded"
        assert gateway.metrics()["sfu_sessions"] == 0
        poll_until(lambda: len(gateway.open_files()), lambda count: count <= files + 1, within=5)


def test_hangups_during_the_start_and_the_drain_do_not_end_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--media-port", "0", "--log-format", "json"]
    with log.open("wb") as out, subprocess.Popen([*command, "--drain-timeout", "1"], stderr=out) as process:
        try:
            # Python itself needs a moment until the first line of the gateway runs.
            poll_until(lambda: ignores_or_catches_hangup(process.pid), bool, within=20)
            while '"listening"' not in log.read_text():
                process.send_signal(signal.SIGHUP)
                time.sleep(0.01)
                assert process.poll() is None
            port = int(log.read_text().partition('"url": "http://127.0.0.1:')[2].partition('"')[0])
            with socket.create_connection(("127.0.0.1", port)) as stays:
                stays.sendall(upgrade())
                assert stays.recv(4096).startswith(b"HTTP/1.1 101 ")
                process.send_signal(signal.SIGTERM)
                while process.poll() is None:
                    process.send_signal(signal.SIGHUP)
                    time.sleep(0.01)
            assert process.returncode == 0
        finally:
            process.kill()


def ignores_or_catches_hangup(pid: int) -> bool:
    """Whether SIGHUP does not end a process, by the masks of proc(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = dict(line.split(":\t") for line in lines if line.startswith("Sig"))
    return any(int(masks[name], 16) & 1 << signal.SIGHUP - 1 for name in ("SigIgn", "SigCgt"))


def test_the_page_names_every_setting_that_needs_a_restart() -> None:
    section = OPERATING.partition("## Reloading")[2].partition("\n## ")[0]
    assert section
    row = section.partition("need a restart")[0]
    missing = [name for name in NEEDS_RESTART if f"`{name}`" not in row]
    assert missing == []


def test_tls_neither_begins_nor_ends_without_a_restart() -> None:
    with_tls = Config(tls_cert=Path("a"), tls_key=Path("b"))
    merged, changed, left = merge(Config(), with_tls)
    assert (merged.tls_cert, changed, left) == (None, [], ["tls_cert", "tls_key"])
    merged, changed, left = merge(with_tls, Config(tls_cert=Path("c"), tls_key=Path("b")))
    assert (merged.tls_cert, changed, left) == (Path("c"), ["tls_cert"], [])
    with pytest.raises(ValueError, match="hsts_seconds needs tls_cert"):
        merge(Config(), Config(tls_cert=Path("a"), tls_key=Path("b"), hsts_seconds=1))
