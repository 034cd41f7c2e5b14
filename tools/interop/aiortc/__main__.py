"""A participant that sends with aiortc's encoders: ``python -m tools.interop.aiortc SETTINGS`` (JSON)."""

import json
import sys
from typing import Any

import trio

from tools.full.client import open_full_client

PATIENCE = 20.0


def tell(event: str, **data: Any) -> None:
    print(json.dumps({"event": event, **data}), flush=True)


async def send(settings: dict[str, Any]) -> None:
    """Send audio and video.  aiortc's packets have no numbers, so the listener can only count the holes."""
    async with open_full_client(settings["url"], settings["channel"], settings["user"]) as client:
        await client.send_audio()
        await client.send_video()
        await trio.sleep(settings["seconds"])
        tell("done")
        with trio.move_on_after(PATIENCE):
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        await client.signalling.leave()


if __name__ == "__main__":
    trio.run(send, json.loads(sys.argv[1]))
