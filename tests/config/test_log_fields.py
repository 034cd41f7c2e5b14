"""Every log call of the gateway: its fields are documented, and none can have a secret or an address unasked."""

import ast
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from gateway.ops.log import ADDRESS_FIELD
from protocol import client
from tests.gateway_process import GatewayProcess, run_gateway

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# What each line has, and the numbers that no table needs to explain.
OF_EVERY_LINE = {"timestamp", "level", "event", "logger", "exception"}
NUMBERS = {
    "members", "remaining", "seconds", "seconds_to_resume", "sent_again", "clients", "at_most_seconds", "open_files",
    "connections", "left_out", "entries", "waiting",
}  # fmt: skip
OF_CLOSING = {"transports", "producers", "consumers", "forced", "failed"}
ALLOWED_VALUES = (ast.Constant, ast.Name, ast.Attribute, ast.Call, ast.IfExp, ast.Compare, ast.BinOp)


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield each log call of the gateway, with its place."""
    for package in ("gateway", "sfu", "protocol"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if _is_log_call(node):
                    assert isinstance(node, ast.Call)
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _is_log_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner = ast.unparse(node.func.value)
    return node.func.attr in {*LEVELS, "bind"} and (owner == "log" or owner.endswith(".log"))


def documented() -> set[str]:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    table = page.partition("\n| field | meaning |\n")[2].partition("\n\n")[0]
    return set(re.findall(r"`([a-z_]+)`", "\n".join(row.split("|")[1] for row in table.splitlines())))


def test_every_field_of_every_log_call_is_documented() -> None:
    fields = {keyword.arg for _, call in calls() for keyword in call.keywords if keyword.arg is not None}
    assert len(list(calls())) > 30
    assert fields - {"exc_info"} - NUMBERS <= documented()
    unused = documented() - fields - OF_EVERY_LINE - {"setting", "left_out", "metrics", "channel", "user", "status"}
    assert unused == set()


def test_no_log_call_names_a_secret_or_a_message() -> None:
    forbidden = re.compile(r"secret|token(?!_keys)|credential|password|\btext\b|\.body|payload|\.data\b|headers")
    for place, call in calls():
        for keyword in call.keywords:
            value = ast.unparse(keyword.value)
            assert not forbidden.search(value) or value == "end_reason.text", f"{place}: {keyword.arg}={value}"


def test_the_event_is_a_fixed_text_so_that_lines_can_be_counted() -> None:
    free = {"sfu/listening.py", "sfu/closing.py", "gateway/http/refusal_log.py"}  # each takes one of its own texts
    for place, call in calls():
        if isinstance(call.func, ast.Attribute) and call.func.attr != "bind":
            assert isinstance(call.args[0], ast.Constant) or place.partition(":")[0] in free, place


def test_addresses_of_clients_are_in_one_field_alone() -> None:
    for place, call in calls():
        for keyword in call.keywords:
            if "remote" in ast.unparse(keyword.value):
                assert keyword.arg == ADDRESS_FIELD, place


@pytest.mark.parametrize("asked", [False, True])
def test_a_call_leaves_no_secret_and_no_address_in_the_log_unless_it_was_asked_for(tmp_path: Path, asked: bool) -> None:
    key = tmp_path / "2026.secret"
    key.write_text("s3cret" * 8)
    options = ["--planes", "1", "--media-host", "127.0.0.1", "--token-keys", str(key), "--admin-token", "4dmin" * 4]
    options += ["--turn-secret", "turn5ecret" * 2, "--ice-servers", '{"urls":["turn:192.0.2.1"]}']
    options += ["--log-addresses"] if asked else []
    with run_gateway(tmp_path / "log", *options) as gateway:
        token = _token(key)
        trio.run(_call, gateway, token)
        _provoke(gateway)
        time.sleep(0.2)
    log = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    events = {line["event"] for line in lines}
    assert {"client connected", "client joined", "client left", "token refused", "request refused"} <= events
    for secret in ("s3cret", "4dmin", "turn5ecret", token, "a message", "made-up-token"):
        assert secret not in log
    assert any("remote" in line for line in lines) is asked
    own = {str(gateway.port), str(gateway.media_port)}
    others = {port for port in re.findall(r"127\.0\.0\.1:(\d+)", log) if port not in own}
    assert bool(others) is asked


def _token(key: Path) -> str:
    command = [
        sys.executable,
        "-m",
        "gateway",
        "token",
        "--token-keys",
        str(key),
        "--channel",
        "lobby",
        "--user",
        "ada",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


async def _call(gateway: GatewayProcess, token: str) -> None:
    async with client.connect(gateway.websocket_url) as ada:
        await ada.join(channel_id="lobby", username="Ada", token=token)
        await ada.send_message({"text": "a message"})
        await ada.leave()
    async with client.connect(gateway.websocket_url) as stranger:
        with pytest.raises(Exception):  # noqa: B017  # a refusal, and then the end of the connection
            await stranger.join(channel_id="lobby", username="Eve", token="made-up-token")


def _provoke(gateway: GatewayProcess) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)
    connection.request("GET", "/api/channels", headers={"Authorization": "Bearer made-up-token"})
    assert connection.getresponse().status == 401
    connection.close()
