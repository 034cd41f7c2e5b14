"""A stream with a prefix yields these bytes first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


@asynccontextmanager
async def socket_pair() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """Two ends of one connection."""
    near, far = (trio.SocketStream(end) for end in trio.socket.socketpair())
    async with near, far:
        yield near, far


async def test_a_socket_is_sent_at_once_what_it_takes() -> None:
    async with socket_pair() as (near, far):
        stream = PrefixedStream(near, b"")
        assert stream.send_nowait(b"hello") == 5
        assert await far.receive_some() == b"hello"
        sent = 0
        while taken := stream.send_nowait(bytes(100_000)):
            sent += taken
        assert sent > 0
        assert stream.send_nowait(b"one more") == 0


async def test_a_broken_socket_raises_when_it_is_sent_something_at_once() -> None:
    async with socket_pair() as (near, far):
        stream = PrefixedStream(near, b"")
        await far.aclose()
        with pytest.raises(trio.BrokenResourceError):
            stream.send_nowait(b"hello")
        await near.aclose()
        with pytest.raises(trio.BrokenResourceError):
            stream.send_nowait(b"hello")


def test_a_stream_that_is_no_socket_takes_nothing_at_once() -> None:
    near, _ = memory_stream_pair()
    assert PrefixedStream(near, b"").send_nowait(b"hello") == 0


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_stream_that_is_reset_drops_what_its_client_has_not_read(is_reset: bool) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.open_tcp_stream("127.0.0.1", listeners[0].socket.getsockname()[1])
    async with client, await listeners[0].accept() as accepted, listeners[0]:
        stream = PrefixedStream(accepted, b"")
        if is_reset:
            stream.reset_on_close()
        await trio.aclose_forcefully(stream)
        with trio.fail_after(5):
            if is_reset:
                with pytest.raises(trio.BrokenResourceError):
                    await client.receive_some()
            else:
                assert await client.receive_some() == b""
