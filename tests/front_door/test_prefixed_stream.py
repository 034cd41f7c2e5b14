"""Bytes that were read are read again."""

import pytest
import trio
from trio.testing import check_half_closeable_stream, memory_stream_pair

from gateway.http.prefixed_stream import PrefixedStream


async def test_what_was_put_back_comes_before_what_comes() -> None:
    near, far = memory_stream_pair()
    stream = PrefixedStream(near, b"head")
    await far.send_all(b"tail")
    assert await stream.receive_some(3) == b"hea"
    assert await stream.receive_some(100) == b"d"
    assert await stream.receive_some() == b"tail"


async def test_putting_nothing_back_changes_nothing() -> None:
    near, far = memory_stream_pair()
    stream = PrefixedStream(near, b"")
    await far.send_all(b"tail")
    await far.send_eof()
    assert await stream.receive_some(2) == b"ta"
    assert await stream.receive_some() == b"il"
    assert await stream.receive_some() == b""


async def test_reading_what_was_put_back_can_be_cancelled() -> None:
    near, _ = memory_stream_pair()
    stream = PrefixedStream(near, b"head")
    with trio.CancelScope() as scope:
        scope.cancel()
        await stream.receive_some()
    assert scope.cancelled_caught
    assert await stream.receive_some() == b"head"


async def test_after_closing_nothing_that_was_put_back_is_read() -> None:
    near, _ = memory_stream_pair()
    stream = PrefixedStream(near, b"head")
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_it_is_a_stream_like_any_other(autojump_clock: trio.testing.MockClock) -> None:
    async def make_pair() -> tuple[PrefixedStream, PrefixedStream]:
        await trio.lowlevel.checkpoint()
        near, far = memory_stream_pair()
        return PrefixedStream(near, b""), PrefixedStream(far, b"")

    await check_half_closeable_stream(make_pair, None)
