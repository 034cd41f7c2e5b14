"""Members who read nothing, and one who talks to them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, Never

import trio

from tools.soak.target import Target, again, open_raw, user_name

ABOUT: Final = "20 members read nothing, while another sends messages of 12 KiB to all of them"
READERS: Final = 20
SIZE: Final = 12 * 1024


async def attack(target: Target, counts: Counter[str]) -> Never:
    async def read_nothing() -> None:
        async with open_raw(target) as client:
            await client.join(target, user_name(), token=target.token)
            counts["slow readers"] += 1
            while True:  # it is no dead client: it sends, and never reads
                await client.request("ping")
                await trio.sleep(1)

    async def talk() -> None:
        async with open_raw(target) as client, trio.open_nursery() as nursery:
            nursery.start_soon(client.drain)
            await client.join(target, user_name(), token=target.token)
            while True:
                await client.request("message", data="x" * SIZE)
                counts["messages"] += 1
                await trio.sleep(0.05)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(again, talk, counts))
        for _ in range(READERS):
            nursery.start_soon(partial(again, read_nothing, counts))
    raise AssertionError("unreachable")
