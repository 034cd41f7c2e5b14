"""Members whose transports flood the gateway with datagrams that authenticate."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, Never

import trio

from tools.light import Identity, LightEndpoint, open_light_client
from tools.light.wire import rtcp
from tools.soak.target import CHANNEL, Target, again, side_by_side, user_name

ABOUT: Final = (
    "2 members send 2,000 datagrams a second each: Binding requests, RTP, RTCP and DTLS of their own transports"
)
MEMBERS: Final = 2
ROUNDS: Final = 5
TICK: Final = 0.01
SSRC: Final = 4242
DTLS: Final = b"\x16\xfe\xfd" + bytes(8) + (100).to_bytes(2) + bytes(100)


async def attack(target: Target, counts: Counter[str]) -> Never:
    identity = Identity.new()

    async def be_there() -> None:
        async with open_light_client(target.url, CHANNEL, user_name(), identity, token=target.token) as client:
            await client.publish("audio", ssrc=SSRC)
            await _flood(await client.transport("send"), counts)

    await side_by_side(MEMBERS, partial(again, be_there, counts))


async def _flood(endpoint: LightEndpoint, counts: Counter[str]) -> Never:
    transport, number = endpoint.transport, 0
    [report] = rtcp.compounds(rtcp.receiver_reports(SSRC, []))
    while True:
        for _ in range(ROUNDS):
            number += 1
            transport.check_again(trio.current_time())
            transport.send_raw(DTLS)
            transport.send_rtcp(report)
            endpoint.send()
            head = b"\x80\x6f" + (number % 65536).to_bytes(2) + (960 * number % 2**32).to_bytes(4) + SSRC.to_bytes(4)
            endpoint.send_rtp(head + bytes(80))
            counts["datagrams"] += 4
        await trio.sleep(TICK)
