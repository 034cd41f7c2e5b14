"""A flood of datagrams from somebody who has no credentials."""

from __future__ import annotations

import random
import socket
from collections import Counter
from contextlib import suppress
from typing import Final, Never

import trio
from aioice import stun

from tools.soak.target import Target

ABOUT: Final = "5,000 datagrams a second without credentials: forged Binding requests, DTLS, RTP, RTCP, noise"
PER_TICK: Final = 50
TICK: Final = 0.01
SOCKETS: Final = 16


def forged(rng: random.Random) -> list[bytes]:
    """Return one datagram of each kind."""
    request = stun.Message(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        transaction_id=rng.randbytes(12),
        attributes={"USERNAME": f"{rng.getrandbits(32):08x}:stranger", "PRIORITY": 1, "ICE-CONTROLLING": 1},
    )
    request.add_message_integrity(rng.randbytes(24))
    return [
        bytes(request),
        b"\x16\xfe\xfd" + bytes(8) + (200).to_bytes(2) + b"\x01" + rng.randbytes(199),  # a ClientHello, or so it says
        b"\x80\x6f" + rng.randbytes(100),
        b"\x80\xc9\x00\x07" + rng.randbytes(28),
        rng.randbytes(1200),
    ]


async def attack(target: Target, counts: Counter[str]) -> Never:
    rng = random.Random()
    datagrams = [one for _ in range(50) for one in forged(rng)]
    family = socket.AF_INET6 if ":" in target.media_host else socket.AF_INET
    sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(SOCKETS)]
    try:
        for sock in sockets:
            sock.setblocking(False)
            sock.connect((target.media_host, target.media_port))
        while True:
            for _ in range(PER_TICK):
                with suppress(OSError):
                    rng.choice(sockets).send(rng.choice(datagrams))
                    counts["datagrams"] += 1
            await trio.sleep(TICK)
    finally:
        for sock in sockets:
            sock.close()
