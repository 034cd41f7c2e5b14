"""The clients of a bench, the ways to end their connections, and the times at which each client learned of a leave."""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import trio
from attrs import define, field, frozen

from protocol.errors import CloseCode
from protocol.events import LeaveReason
from tools.bench import BenchError
from tools.light.frames import CLOSE, frame
from tools.light.lean_signalling import LeanSignalling
from tools.light.websocket import WebSocketPool

QUIET_AT_MOST: Final = 180.0
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no seconds


@frozen
class Ending:
    """A way to end a TCP connection. ``reason`` is the reason in the gateway's ``user_left`` after ``end``."""

    name: str
    end: Callable[[socket.socket], object]
    reason: LeaveReason


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    sock.close()


# Half-closing sends a FIN; close() with unread data would send a reset.
ENDINGS: Final = (
    Ending("FIN", lambda sock: sock.shutdown(socket.SHUT_WR), "disconnected"),
    Ending("close frame", lambda sock: sock.send(frame(CLOSE, int(CloseCode.NORMAL).to_bytes(2))), "left"),
    Ending("reset", _reset, "disconnected"),
)
#: The clock of all measurements, in seconds.
now: Final = time.perf_counter


@define(eq=False)
class LeaveWatch:
    """Waits until each of ``listeners`` clients has the notice of each leaver.

    ``times`` has the arrival times of the notices, by the leaver's user id. The bench ends the connections from
    ``begun`` to ``ended``. All are times of :data:`now`.
    """

    times: dict[str, list[float]]
    listeners: int
    outstanding: int
    begun: float = 0.0
    ended: float = 0.0
    done: trio.Event = field(factory=trio.Event)

    @property
    def first_notice(self) -> float:
        """Seconds until the first notice of any leaver."""
        return min(at for times in self.times.values() for at in times) - self.begun

    @property
    def last_notice(self) -> float:
        """Seconds until the last notice of any leaver."""
        return max(at for times in self.times.values() for at in times) - self.begun

    def note(self, user_id: str, at: float) -> None:
        if (times := self.times.get(user_id)) is not None:
            times.append(at)
            self.outstanding -= 1
            if not self.outstanding:
                self.done.set()


@define(eq=False)
class LeaveListener(LeanSignalling):
    """One client. :meth:`Listeners.connect` makes it.

    With ``dies_after_pong`` it falls silent as soon as it has answered the next ping, at ``silent_since``.
    """

    dies_after_pong: bool = field(default=False, kw_only=True)
    silent_since: float | None = field(default=None, kw_only=True)

    def answer_ping(self, payload: bytes) -> None:
        LeanSignalling.answer_ping(self, payload)
        if self.dies_after_pong:
            self.fall_silent()

    def fall_silent(self) -> None:
        """Stop reading and answering. The socket stays open, and the kernel keeps what arrives."""
        self.silent_since = now()
        self.ignore()


@define(eq=False)
class Listeners(WebSocketPool):
    """All clients of one gateway. ``heard_at`` is the time of the newest message. Pings do not count."""

    watch: LeaveWatch | None = None
    heard_at: float = field(factory=now)
    _connected: list[LeaveListener] = field(factory=list)

    async def connect(self) -> LeaveListener:
        heard = partial(setattr, self, "heard_at")
        listener = await self.open(partial(LeaveListener, on_message=heard, on_left=self._note))
        self._connected.append(listener)
        return listener

    def _note(self, user_id: str, at: float) -> None:
        if self.watch is not None:
            self.watch.note(user_id, at)

    def expect(self, leavers: Iterable[str], listeners: int) -> LeaveWatch:
        """From now on, note when each listener gets the notice of each of these user ids.

        ``listeners`` is the number of listeners.
        """
        times: dict[str, list[float]] = {user_id: [] for user_id in leavers}
        self.watch = LeaveWatch(times, listeners, len(times) * listeners)
        return self.watch

    async def wait_all_notices(self, watch: LeaveWatch, seconds: float) -> None:
        """Wait until all notices have come.

        After ``seconds``, raises :exc:`BenchError`, whose text names the missing ones.
        """
        if not watch.outstanding:  # nobody else is in the channel
            return
        with trio.move_on_after(seconds):
            await watch.done.wait()
            return
        codes = Counter(listener.close_code for listener in self._connected if listener.close_code is not None)
        missing = {user_id: len(times) for user_id, times in watch.times.items() if len(times) < watch.listeners}
        raise BenchError(
            f"after {seconds:g} s {watch.outstanding} notices about {len(missing)} leavers are missing. Of "
            f"{watch.listeners} listeners, so many have the notice: {list(missing.items())[:5]}. "
            f"Close codes so far: {dict(codes)}"
        )

    async def quiet(self, seconds: float = 0.05) -> None:
        """Return after ``seconds`` without a message."""
        with trio.move_on_after(QUIET_AT_MOST):
            while True:
                left = self.heard_at + seconds - now()
                if left <= 0:
                    return
                await trio.sleep(left)
        raise BenchError(f"the gateway still sends after {QUIET_AT_MOST:g} s")
