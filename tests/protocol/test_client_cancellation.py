"""A program cancelled at any step of its connection leaves nothing behind, and ends soon."""

import pytest
import trio
import trio_websocket
from trio.abc import Instrument
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from protocol.client import connect_over
from tests.protocol.scripted_server import TIMEOUTS, StreamPair, answer_everything, serve


class CancelAtStep(Instrument):
    """Cancels ``scope`` after this many steps of any task."""

    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self.left = step
        self.scope = scope

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


async def run_cancelled_at(step: int, stream_pair: StreamPair) -> bool:
    """Run a small program that is cancelled at a step. Return whether it came that far."""
    ours, theirs = stream_pair()
    program = trio.CancelScope()
    instrument = CancelAtStep(step, program)

    async def server() -> None:
        try:
            await serve(theirs, answer_everything)
        except* trio_websocket.ConnectionClosed:
            pass  # the client disconnected before it was accepted

    async with trio.open_nursery() as nursery:
        nursery.start_soon(server)
        trio.lowlevel.add_instrument(instrument)
        started = trio.current_time()
        with program:
            async with connect_over(ours, timeouts=TIMEOUTS) as client, trio.open_nursery() as requests:
                requests.start_soon(client.ping)
                await client.ping()
        assert trio.current_time() - started <= TIMEOUTS.goodbye
        # Trio drops an instrument that raised, and removing it raises then.
        trio.lowlevel.remove_instrument(instrument)
        with pytest.raises(trio.ClosedResourceError):
            await ours.send_all(b"x")
        nursery.cancel_scope.cancel()
    return instrument.left <= 0


@pytest.mark.parametrize("stream_pair", [memory_stream_pair, lockstep_stream_pair])
def test_a_program_cancelled_at_any_step_leaves_nothing_behind(stream_pair: StreamPair) -> None:
    step = 1
    while trio.run(run_cancelled_at, step, stream_pair, clock=MockClock(autojump_threshold=0)):
        step += 1
    assert step > 20


class BodyError(Exception):
    """Raised by the program."""


async def raise_and_cancel_at(step: int) -> bool:
    """Let a program raise while it is cancelled at a step after that. Return whether the program came that far."""
    ours, theirs = memory_stream_pair()
    program = trio.CancelScope()
    error = BodyError()
    instrument = CancelAtStep(step, program)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, theirs, answer_everything)
        with program, pytest.raises(BodyError) as caught:
            async with connect_over(ours, timeouts=TIMEOUTS) as client:
                await client.ping()
                trio.lowlevel.add_instrument(instrument)
                raise error
        trio.lowlevel.remove_instrument(instrument)
        nursery.cancel_scope.cancel()
    assert caught.value is error
    return instrument.left <= 0


def test_an_exception_of_the_program_comes_out_unchanged_though_it_is_cancelled_at_any_step_of_its_end() -> None:
    step = 1
    while trio.run(raise_and_cancel_at, step, clock=MockClock(autojump_threshold=0)):
        step += 1
    assert step > 5
