"""Strangers who guess the join token."""

from __future__ import annotations

import secrets
from collections import Counter
from functools import partial
from typing import Final, Never

from tools.soak.target import Target, again, open_raw, side_by_side, user_name

ABOUT: Final = "8 strangers connect, join with a wrong token, are closed, and begin anew"
STRANGERS: Final = 8


async def attack(target: Target, counts: Counter[str]) -> Never:
    async def guess() -> None:
        async with open_raw(target) as client:
            await client.join(target, user_name(), token=secrets.token_hex(16))
            counts["guesses"] += 1
            await client.drain()

    await side_by_side(STRANGERS, partial(again, guess, counts, pause=0.01))
