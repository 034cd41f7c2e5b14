"""The clients of a bench, and the times at which each was told that somebody left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Final

import trio
from attrs import define, field

from tools.bench import BenchError
from tools.light.lean_signalling import LeanSignalling
from tools.light.websocket import WebSocketPool

QUIET_AT_MOST: Final = 180.0


@define(eq=False)
class LeaveWatch:
    """Waits until each of ``listeners`` clients was told of each leaver.

    ``times`` holds the times of ``time.perf_counter`` at which they were told, by the leaver's user id.
    """

    times: dict[str, list[float]]
    listeners: int
    outstanding: int
    done: trio.Event = field(factory=trio.Event)

    @classmethod
    def of(cls, leavers: Iterable[str], listeners: int) -> LeaveWatch:
        times: dict[str, list[float]] = {user_id: [] for user_id in leavers}
        return cls(times, listeners, len(times) * listeners)

    def told(self, user_id: str, at: float) -> None:
        if (times := self.times.get(user_id)) is not None:
            times.append(at)
            self.outstanding -= 1
            if not self.outstanding:
                self.done.set()


@define(eq=False)
class LeaveListener(LeanSignalling):
    """One client; :meth:`Listeners.connect` makes it.

    With ``dies_after_pong`` it falls silent as soon as it has answered the next ping, at ``silent_since``.
    """

    dies_after_pong: bool = field(default=False, kw_only=True)
    silent_since: float | None = field(default=None, kw_only=True)

    def answer_ping(self, payload: bytes) -> None:
        LeanSignalling.answer_ping(self, payload)
        if self.dies_after_pong:
            self.fall_silent()

    def fall_silent(self) -> None:
        """Read and answer nothing from now on.  The socket stays open, and the kernel keeps what arrives."""
        self.silent_since = time.perf_counter()
        self.ignore()


@define(eq=False)
class Listeners(WebSocketPool):
    """All clients of one gateway.  ``heard_at`` is the time of the newest message; pings do not count."""

    watch: LeaveWatch | None = None
    heard_at: float = field(factory=time.perf_counter)
    _connected: list[LeaveListener] = field(factory=list)

    async def connect(self) -> LeaveListener:
        listener = await self.open(partial(LeaveListener, on_message=self._heard, on_left=self._told))
        self._connected.append(listener)
        return listener

    def _heard(self, at: float) -> None:
        self.heard_at = at

    def _told(self, user_id: str, at: float) -> None:
        if self.watch is not None:
            self.watch.told(user_id, at)

    def expect(self, leavers: Iterable[str], listeners: int) -> LeaveWatch:
        """Note from now on when each of so many listeners is told of each of these user ids."""
        self.watch = LeaveWatch.of(leavers, listeners)
        return self.watch

    async def wait_all_told(self, watch: LeaveWatch, seconds: float) -> None:
        """Raises :exc:`BenchError` after ``seconds``, with what is missing."""
        with trio.move_on_after(seconds):
            await watch.done.wait()
            return
        codes = Counter(listener.close_code for listener in self._connected if listener.close_code is not None)
        missing = {user_id: len(times) for user_id, times in watch.times.items() if len(times) < watch.listeners}
        raise BenchError(
            f"after {seconds:g} s {watch.outstanding} notices of a leave are missing, of {len(missing)} users; of "
            f"{watch.listeners} others so many had them: {list(missing.items())[:5]}; close codes so far: {dict(codes)}"
        )

    async def quiet(self, seconds: float = 0.05) -> None:
        """Return when nothing was heard for so long."""
        with trio.move_on_after(QUIET_AT_MOST):
            while True:
                left = self.heard_at + seconds - time.perf_counter()
                if left <= 0:
                    return
                await trio.sleep(left)
        raise BenchError(f"the gateway still sends after {QUIET_AT_MOST:g} s")
