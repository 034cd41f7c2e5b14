"""Connections that send one byte and then nothing."""

from __future__ import annotations

import socket
from collections import Counter, deque
from typing import Final, Never

import trio

from tools.soak.target import LOST, PATIENCE, Target

ABOUT: Final = "200 connections a second that send one byte, of which the newest 800 stay open"
RATE: Final = 200
OPEN: Final = 800


async def attack(target: Target, counts: Counter[str]) -> Never:
    held: deque[trio.SocketStream] = deque()
    try:
        while True:
            await trio.sleep(1 / RATE)
            try:
                with trio.fail_after(PATIENCE):
                    stream = await trio.open_tcp_stream(target.host, target.port)
                    held.append(stream)
                    await stream.send_all(b"G")
            except LOST:
                counts["lost connections"] += 1
                continue
            counts["connections"] += 1
            if len(held) > OPEN:
                await _abort(held.popleft())
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + PATIENCE):
            for stream in held:
                await _abort(stream)


async def _abort(stream: trio.SocketStream) -> None:
    """Close with a reset, which leaves no port of ours in TIME_WAIT."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    await trio.aclose_forcefully(stream)
