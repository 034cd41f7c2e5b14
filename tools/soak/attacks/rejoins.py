"""Members who leave and join without an end."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, Never

from tools.soak.target import Target, again, open_raw, side_by_side, user_name

ABOUT: Final = "10 members join and leave in a loop, as fast as they get answers"
MEMBERS: Final = 10


async def attack(target: Target, counts: Counter[str]) -> Never:
    async def come_and_go() -> None:
        async with open_raw(target) as client:
            name = user_name()
            while True:
                await client.join(target, name, token=target.token)
                await client.request("leave")
                if not await client.answer():
                    return
                counts["joins"] += 1

    await side_by_side(MEMBERS, partial(again, come_and_go, counts))
