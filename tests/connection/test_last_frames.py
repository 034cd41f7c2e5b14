"""Nothing follows a close frame, and reader and writer agree on what a client's close frame means."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
import structlog
import trio
import trio.testing
from trio.testing import MemoryReceiveStream, memory_stream_one_way_pair
from trio_websocket import CloseReason, ConnectionClosed

from gateway.config import Config
from gateway.connection import end_reasons
from gateway.connection.attachment import LAST_READ_SECONDS, Attachment
from gateway.connection.connection import Connection
from gateway.connection.end_reasons import EndReason
from gateway.connection.outbox import Frame
from gateway.connection.websocket import SharedStream
from gateway.http.prefixed_stream import PrefixedStream
from gateway.ops.metrics import Metrics


def open_socket(stream: trio.abc.Stream, closed: CloseReason | None = None) -> tuple[Connection, Attachment]:
    """Return a connection, and its socket over ``stream`` with a frame to send. ``closed`` is the close frame."""
    connection = Connection(Config(), Metrics(), structlog.get_logger())
    attachment = connection.attachment = Attachment(stream, connection, connection.config)
    websocket: Any = SimpleNamespace(closed=closed)
    attachment.websocket = websocket
    attachment.outbox.put(Frame.of_text("more"))
    return connection, attachment


CLOSE_FRAME = b"\x88\x02\x03\xe8"


def shared_stream() -> tuple[SharedStream, MemoryReceiveStream]:
    """Return a stream as the gateway has it, and the bytes that the client gets."""
    sending, sent = memory_stream_one_way_pair()
    return SharedStream(trio.StapledStream(sending, memory_stream_one_way_pair()[1]), lambda: 1000, lambda: None), sent


async def test_nothing_is_sent_behind_a_close_frame() -> None:
    shared, sent = shared_stream()
    await shared.send_frames(b"\x81\x01a")
    await shared.send_all(CLOSE_FRAME)
    with pytest.raises(trio.ClosedResourceError):
        await shared.send_frames(b"\x81\x01b")
    assert await sent.receive_some() == b"\x81\x01a" + CLOSE_FRAME


@pytest.mark.parametrize(
    ("reason", "end_reason"),
    [
        (CloseReason(1000, None), end_reasons.CLOSED),
        (CloseReason(1001, None), end_reasons.DISCONNECTED),
        (None, end_reasons.DISCONNECTED),
    ],
)
async def test_a_writer_that_meets_the_clients_close_frame_first_records_the_right_reason(
    reason: CloseReason | None, end_reason: EndReason
) -> None:
    near, _ = trio.testing.memory_stream_pair()
    connection, attachment = open_socket(near, reason)
    await attachment.shared.send_all(CLOSE_FRAME)  # trio-websocket's answer to the client's close frame
    await attachment.write()
    assert connection.end_reason is end_reason


async def test_a_send_that_fails_before_the_close_frame_is_read_leaves_the_reason_to_the_reader() -> None:
    near, _ = trio.testing.memory_stream_pair()
    await near.aclose()  # sending fails at once
    connection, attachment = open_socket(near)
    websocket: Any = attachment.websocket
    websocket.get_message = AsyncMock(side_effect=ConnectionClosed(CloseReason(1000, None)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attachment.write)
        await trio.testing.wait_all_tasks_blocked()
        await attachment.read()
    assert connection.end_reason is end_reasons.CLOSED


async def test_a_send_that_fails_ends_the_connection_although_nothing_can_be_read(
    autojump_clock: trio.testing.MockClock,
) -> None:
    near, _ = trio.testing.memory_stream_pair()
    await near.aclose()
    connection, attachment = open_socket(near)
    await attachment.write()
    assert connection.end_reason is end_reasons.DISCONNECTED
    assert trio.current_time() == LAST_READ_SECONDS


async def test_frames_that_the_socket_takes_in_parts_arrive_whole_and_once() -> None:
    frames = bytes(range(256)) * 16_000  # 4 MB, more than a socket takes at once
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.open_tcp_stream("127.0.0.1", listeners[0].socket.getsockname()[1])
    async with client, await listeners[0].accept() as accepted, listeners[0]:
        shared = SharedStream(PrefixedStream(accepted, b""), lambda: 1000, lambda: None)
        received = bytearray()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(shared.send_frames, frames)
                while len(received) < len(frames):
                    received += await client.receive_some()
    assert received == frames
