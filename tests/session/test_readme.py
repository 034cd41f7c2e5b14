"""The README shows the code that runs."""

import re
import runpy
from inspect import getsource
from pathlib import Path
from textwrap import dedent

import trio

from gateway.config import Config
from gateway.server import open_server
from gateway.session import lifecycle
from protocol import client
from protocol.declarations import Event
from protocol.events import VoiceState

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_code_of_the_session() -> None:
    (shown,) = re.findall(r"## How it works, in a dozen lines\n\n```python\n(.*?)```", README, re.DOTALL)
    code = dedent(getsource(lifecycle.serve_sessions).partition('"""\n    requests = ')[2].partition("\n")[2])
    assert shown == code


async def test_the_bot_of_the_readme_prints_who_comes_and_goes(tmp_path: Path) -> None:
    (shown,) = re.findall(r"A bot in Python.*?```python\n(.*?)```", README, re.DOTALL)
    printed, print_ = trio.open_memory_channel[Event](8)
    with trio.fail_after(10):
        async with open_server(Config(port=0, media_port=0)) as server, trio.open_nursery() as nursery:
            url = server.url.replace("http", "ws") + "/ws"
            bot = tmp_path / "bot.py"
            bot.write_text(shown.replace("ws://127.0.0.1:8080/ws", url).replace("trio.run(greet)", ""))
            greet = runpy.run_path(str(bot), {"print": printed.send_nowait})["greet"]
            async with client.connect(url) as ada:
                await ada.join("kitchen", "Ada", user_id="ada")
                nursery.start_soon(greet)
                seen = await anext(ada.events())
                assert isinstance(seen, VoiceState)
                assert (seen.type, seen.username) == ("user_joined", "Greeter")
                await ada.leave()
            left = await print_.receive()
            assert isinstance(left, VoiceState)
            assert (left.type, left.user_id) == ("user_left", "ada")
            nursery.cancel_scope.cancel()
