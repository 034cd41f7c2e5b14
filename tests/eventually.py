"""Waiting for what has no event to wait for: state on the other side of a socket."""

from collections.abc import Callable

import trio


async def eventually(condition: Callable[[], object], seconds: float = 5) -> None:
    """Return when the condition holds; ``TooSlowError`` when it does not in time (virtual where the clock is)."""
    with trio.fail_after(seconds):
        while True:
            if condition():
                return
            await trio.sleep(0.001)
