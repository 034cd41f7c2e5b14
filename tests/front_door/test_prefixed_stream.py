"""Bytes that were read are read again."""

import pytest
import trio
from trio.testing import check_half_closeable_stream, memory_stream_pair

from gateway.http.prefixed_stream import PrefixedStream


async def test_the_prefix_is_read_before_the_stream() -> None:
    near, far = memory_stream_pair()
    stream = PrefixedStream(near, b"head")
    await far.send_all(b"tail")
    assert await stream.receive_some(3) == b"hea"
    assert await stream.receive_some(100) == b"d"
    assert await stream.receive_some() == b"tail"


async def test_an_empty_prefix_changes_nothing() -> None:
    near, far = memory_stream_pair()
    stream = PrefixedStream(near, b"")
    await far.send_all(b"tail")
    await far.send_eof()
    assert await stream.receive_some(2) == b"ta"
    assert await stream.receive_some() == b"il"
    assert await stream.receive_some() == b""


async def test_reading_the_prefix_can_be_cancelled() -> None:
    near, _ = memory_stream_pair()
    stream = PrefixedStream(near, b"head")
    with trio.CancelScope() as scope:
        scope.cancel()
        await stream.receive_some()
    assert scope.cancelled_caught
    assert await stream.receive_some() == b"head"


async def test_after_closing_the_prefix_is_not_read() -> None:
    near, _ = memory_stream_pair()
    stream = PrefixedStream(near, b"head")
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_a_prefixed_stream_is_a_trio_stream(autojump_clock: trio.testing.MockClock) -> None:
    async def make_pair() -> tuple[PrefixedStream, PrefixedStream]:
        await trio.lowlevel.checkpoint()
        near, far = memory_stream_pair()
        return PrefixedStream(near, b""), PrefixedStream(far, b"")

    await check_half_closeable_stream(make_pair, None)
