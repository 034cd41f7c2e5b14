"""The description of the HTTP API: Schemathesis makes requests from it, and checks every answer of a real gateway."""

import subprocess
import sys
from pathlib import Path

import trio

from protocol.client import connect
from tests.gateway_process import ENVIRONMENT, run_gateway

TOKEN = "the-token-of-these-tests"
SECONDS = 120


async def test_the_answers_are_those_that_the_description_promises(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log", "--admin-token", TOKEN) as gateway:
        async with trio.open_nursery() as nursery:
            for user in ("anna", "ben"):
                nursery.start_soon(stay, gateway.websocket_url, user)
            command = (
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{gateway.url}/api/openapi.json"),
                *("--header", f"Authorization: Bearer {TOKEN}", "--checks", "all"),
                *("--max-examples", "10", "--seed", "1", "--no-color"),
            )

            def run() -> "subprocess.CompletedProcess[bytes]":
                return subprocess.run(
                    command, capture_output=True, cwd=tmp_path, env=ENVIRONMENT, timeout=SECONDS, check=False
                )

            done = await trio.to_thread.run_sync(run)
            nursery.cancel_scope.cancel()
        assert done.returncode == 0, done.stdout.decode()[-5000:]
        assert b" passed" in done.stdout


async def stay(url: str, user: str) -> None:
    """Be in a channel, and join again whenever a moderator has ended the session."""
    while True:
        try:
            async with connect(url) as client:
                await client.join("kitchen", user, user_id=user)
                async for _ in client.events():
                    pass
        except Exception:
            await trio.sleep(0.05)
