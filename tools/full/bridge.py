"""An asyncio loop in a thread beside Trio, with calls in both directions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, TypeVarTuple

import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Bridge:
    """Calls between Trio and an asyncio loop.  :func:`open_bridge` makes it."""

    def __init__(self, portal: BlockingPortal, nursery: trio.Nursery) -> None:
        self._portal = portal
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()

    async def run(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run an async function in the asyncio loop, from Trio.  Cancelling this cancels the function."""
        future = self._portal.start_task_soon(function, *args)
        done = trio.Event()

        def wake(_: "Future[T]") -> None:
            self.post(done.set)

        future.add_done_callback(wake)
        try:
            await done.wait()
        finally:
            future.cancel()  # does nothing if it has finished
        return future.result()

    async def ask(self, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """Run an async function in Trio, from asyncio."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run_and_settle() -> None:
            try:
                result = await function(*args)
            except Exception as error:
                self._settle(answer, answer.set_exception, error)
            except BaseException:
                self._settle(answer, answer.cancel)
                raise
            else:
                self._settle(answer, answer.set_result, result)

        self.post(self._nursery.start_soon, run_and_settle)
        return await answer

    def post(self, function: Callable[[*Ts], object], *args: *Ts) -> None:
        """Call a function in Trio soon, from any thread.  Do nothing after the end of the Trio run."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(function, *args)

    @staticmethod
    def _settle(answer: "asyncio.Future[Any]", settle: Callable[[*Ts], object], *args: *Ts) -> None:
        """Give the future its result in the loop's own thread, unless its task was cancelled meanwhile."""

        def unless_settled() -> None:
            if not answer.done():
                settle(*args)

        answer.get_loop().call_soon_threadsafe(unless_settled)


@asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """Start a loop.  Leaving the block ends the loop's tasks and its thread."""
    portal_context = start_blocking_portal("asyncio")
    portal = await trio.to_thread.run_sync(portal_context.__enter__)
    try:
        async with trio.open_nursery() as nursery:
            yield Bridge(portal, nursery)
            nursery.cancel_scope.cancel()
    finally:
        # Stopping the portal cancels the tasks of the loop.  aiortc's tasks end at once then, so this takes no time.
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
            await trio.to_thread.run_sync(portal.call, portal.stop, True, abandon_on_cancel=True)
            await trio.to_thread.run_sync(portal_context.__exit__, None, None, None, abandon_on_cancel=True)
