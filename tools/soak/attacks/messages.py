"""Members who aim messages at another one."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, Never

import trio

from tools.soak.target import Target, again, open_raw, user_name

ABOUT: Final = "5 members send messages of 16 KiB to one member, as fast as the gateway reads them"
SENDERS: Final = 5
SIZE: Final = 16 * 1024 - 200


async def attack(target: Target, counts: Counter[str]) -> Never:
    victim = user_name()

    async def be_aimed_at() -> None:
        async with open_raw(target) as client:
            await client.join(target, victim, token=target.token)
            await client.drain()

    async def aim() -> None:
        async with open_raw(target) as client, trio.open_nursery() as nursery:
            nursery.start_soon(client.drain)
            await client.join(target, user_name(), token=target.token)
            while True:
                await client.request("message", to=[victim], data="x" * SIZE)
                counts["messages"] += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(again, be_aimed_at, counts))
        for _ in range(SENDERS):
            nursery.start_soon(partial(again, aim, counts))
    raise AssertionError("unreachable")
