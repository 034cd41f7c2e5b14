"""A nursery for tasks that go on after the cancellation of the code that started them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_shielded_nursery(
    failed: Callable[[ExceptionGroup[Exception]], None], ended: Callable[[], Awaitable[None]]
) -> AsyncIterator[trio.Nursery]:
    """Open a nursery whose tasks no outer cancellation reaches. Leaving the block cancels them, on every path.

    The block itself is not shielded. An exception in a task ends all tasks. It goes to ``failed`` and does not leave
    the block. When the last task has ended, ``ended`` runs, also while the block still runs. It is not shielded.
    """
    scope = trio.CancelScope(shield=True)
    opened = trio.Event()
    nurseries: list[trio.Nursery] = []

    # The nursery lives in a task of its own, next to the block. So the cancellation of the block does not reach its
    # tasks, and an exception in one of them does not cancel the block.
    async def hold() -> None:
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    nurseries.append(nursery)
                    opened.set()
                    await trio.sleep_forever()
        except* Exception as errors:
            failed(errors)
        await ended()

    async with trio.open_nursery() as owner:
        owner.start_soon(hold)
        try:
            await opened.wait()
            yield nurseries[0]
        finally:
            scope.cancel()
