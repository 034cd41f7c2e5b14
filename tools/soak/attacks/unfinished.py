"""Messages that begin and never end."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, Never

import trio

from tools.soak.target import PATIENCE, Target, again, open_raw, side_by_side, user_name

ABOUT: Final = "100 strangers and 50 members send a part of a message, 15 KiB or 200 KiB, and stop"
STRANGERS: Final = 100
MEMBERS: Final = 50
OF_STRANGER: Final = 15 * 1024
OF_MEMBER: Final = 200 * 1024


def begun(size: int) -> bytes:
    """Return the first frame of a text message that has more to come (RFC 6455 section 5.4)."""
    return b"\x01\xff" + size.to_bytes(8) + bytes(4) + b"x" * size


async def attack(target: Target, counts: Counter[str]) -> Never:
    async def begin(*, inside: bool) -> None:
        async with open_raw(target) as client, trio.open_nursery() as nursery:
            nursery.start_soon(client.drain)
            if inside:
                await client.join(target, user_name(), token=target.token)
            await client.send(begun(OF_MEMBER if inside else OF_STRANGER))
            counts["unfinished messages"] += 1
            await trio.sleep(PATIENCE)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(side_by_side, STRANGERS, partial(again, partial(begin, inside=False), counts))
        nursery.start_soon(side_by_side, MEMBERS, partial(again, partial(begin, inside=True), counts))
    raise AssertionError("unreachable")
