"""Members who send pings without an end."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, Never

import trio

from tools.light.frames import PING, frame
from tools.soak.target import Target, again, open_raw, side_by_side, user_name

ABOUT: Final = "4 members send WebSocket pings, 200 in a write, as fast as the gateway reads them"
MEMBERS: Final = 4
AT_ONCE: Final = 200


async def attack(target: Target, counts: Counter[str]) -> Never:
    pings = frame(PING, b"ping") * AT_ONCE

    async def ping() -> None:
        async with open_raw(target) as client, trio.open_nursery() as nursery:
            nursery.start_soon(client.drain)
            await client.join(target, user_name(), token=target.token)
            while True:
                await client.send(pings)
                counts["pings"] += AT_ONCE

    await side_by_side(MEMBERS, partial(again, ping, counts))
