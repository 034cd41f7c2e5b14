"""Wait for a state that no event announces, such as the state at the other end of a socket."""

from collections.abc import Callable

import trio


async def eventually(condition: Callable[[], object], seconds: float = 5) -> None:
    """Return once the condition holds.  Raises ``TooSlowError`` after ``seconds`` of Trio's clock."""
    with trio.fail_after(seconds):
        while True:
            if condition():
                return
            await trio.sleep(0.001)
