"""A member who wants its own stream a thousand times."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, Never

import trio

from protocol.client import RequestError
from tools.light import Identity, open_light_client
from tools.soak.target import CHANNEL, Target, again, user_name

ABOUT: Final = "a member sends 500 packets a second and asks for its own stream 1,024 times, again and again"
COPIES: Final = 1024
SSRC: Final = 4343
AT_ONCE: Final = 5
TICK: Final = 0.01


async def attack(target: Target, counts: Counter[str]) -> Never:
    identity = Identity.new()

    async def multiply() -> None:
        async with (
            open_light_client(target.url, CHANNEL, user_name(), identity, token=target.token) as client,
            trio.open_nursery() as nursery,
        ):
            producer = await client.publish("audio", ssrc=SSRC)
            endpoint = await client.transport("send")

            async def send() -> Never:
                number = 0
                while True:
                    for _ in range(AT_ONCE):
                        number += 1
                        head = b"\x80\x6f" + (number % 65536).to_bytes(2) + bytes(4) + SSRC.to_bytes(4)
                        endpoint.send_rtp(head + bytes(100))
                    await trio.sleep(TICK)

            nursery.start_soon(send)
            for _ in range(COPIES):
                try:
                    await client.subscribe(producer)
                    counts["copies"] += 1
                except RequestError:
                    counts["refusals"] += 1
            nursery.cancel_scope.cancel()

    await again(partial(multiply), counts)
