"""The programs of docs/python-client.md work with a real gateway, and the page shows them as they are."""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import trio

from protocol import MessageReceived, client
from sfu.wire.certificate import generate_certificate
from tests.docs.pages import ROOT
from tests.gateway_process import ENVIRONMENT, GatewayProcess, run_gateway
from tools.light import Identity, open_light_client
from tools.light.encoders import encode_audio
from tools.light.loop_sender import LoopSender

EXAMPLES: Final = ROOT / "docs" / "examples"
PAGE: Final = (ROOT / "docs" / "python-client.md").read_text(encoding="utf-8")
_PATIENCE: Final = 20.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_gateway(Path(tmp_path_factory.mktemp("gateway")) / "log") as gateway:
        yield gateway


def start(name: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


async def read_until(program: "subprocess.Popen[str]", wanted: str) -> str:
    """The first line of the program's output in which ``wanted`` is found."""
    assert program.stdout is not None
    with trio.fail_after(_PATIENCE):
        while line := await trio.to_thread.run_sync(program.stdout.readline, abandon_on_cancel=True):
            if re.search(wanted, line):
                return line.strip()
    raise AssertionError(f"the program ended before it printed {wanted}")


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.py")), ids=lambda file: str(file.name))
def test_the_page_shows_each_program_as_it_is(file: Path) -> None:
    assert f"```python\n{file.read_text(encoding='utf-8')}```" in PAGE


async def test_who_is_there_prints_everybody_and_their_streams(gateway: GatewayProcess) -> None:
    async with client.connect(gateway.websocket_url) as ada:
        await ada.join("hall", "Ada")
        with start("who_is_there.py", gateway.websocket_url, "hall") as program:
            printed, _ = await trio.to_thread.run_sync(program.communicate)
    assert printed == "1 in hall\nAda sends nothing\n"
    assert program.returncode == 0


async def test_the_mirror_prints_each_change_and_survives_a_restart_of_the_gateway(tmp_path: Path) -> None:
    with run_gateway(tmp_path / "first") as first:
        port = first.port
        with start("mirror.py", first.websocket_url) as program:
            try:
                await read_until(program, "nobody")
                async with client.connect(first.websocket_url) as ada:
                    await ada.join("kitchen", "Ada")
                    await read_until(program, "^kitchen: Ada$")
                    first.stop()
                await read_until(program, "again in a second")
                with run_gateway(tmp_path / "second", port=port) as second:
                    await read_until(program, "nobody")
                    async with client.connect(second.websocket_url) as ben:
                        await ben.join("hall", "Ben")
                        await read_until(program, "^hall: Ben$")
            finally:
                program.terminate()


async def test_the_dice_bot_greets_rolls_keeps_its_seat_and_stops_when_its_user_id_is_taken(
    gateway: GatewayProcess,
) -> None:
    with start("dice_bot.py", gateway.websocket_url, "casino") as program:
        try:
            await read_until(program, "joined")
            async with client.connect(gateway.websocket_url) as ada:
                await ada.join("casino", "Ada")
                assert (await next_text(ada)).startswith("Welcome, Ada.")
                await ada.send_message({"text": "roll"})
                assert (await next_text(ada)) in "123456"
            async with client.connect(gateway.websocket_url) as other:
                with pytest.raises(client.RequestError, match="conflict"):
                    await other.join("casino", "Impostor", user_id="dice-bot")
            with start("dice_bot.py", gateway.websocket_url, "casino") as twin:
                await read_until(twin, "refused with conflict")
                assert await trio.to_thread.run_sync(twin.wait, 10) == 0
            assert program.poll() is None
        finally:
            program.kill()


async def next_text(person: client.Client) -> str:
    with trio.fail_after(_PATIENCE):
        async for event in person.events():
            if isinstance(event, MessageReceived):
                return str(event.data["text"])
    raise AssertionError


async def test_count_packets_counts_the_packets_of_a_stream(gateway: GatewayProcess) -> None:
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    async with (
        open_light_client(gateway.websocket_url, "studio", "Ada", identity) as ada,
        trio.open_nursery() as nursery,
    ):
        await ada.publish("audio", 4711)
        sender = LoopSender(encode_audio(), await ada.transport("send"), ssrc=4711, rng=random.Random(1))
        nursery.start_soon(sender.run)
        with start("count_packets.py", gateway.websocket_url, "studio") as program:
            try:
                line = await read_until(program, r"Ada's microphone: [1-9]\d* packets")
                assert line.endswith(" 0 lost")
            finally:
                program.kill()
        nursery.cancel_scope.cancel()
