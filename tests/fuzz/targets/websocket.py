"""Bytes behind the upgrade of a WebSocket, read by the gateway's own tasks with their limits.

A second reader, written from RFC 6455 alone, says which messages must arrive.
"""

from collections.abc import Callable, Iterator
from typing import Final

import trio
from attrs import define, field
from trio.testing import MockClock, memory_stream_pair

from gateway.config import Config
from gateway.connection.attachment import Attachment
from gateway.connection.end_reasons import EndReason
from gateway.connection.outbox import SendBudget
from gateway.connection.unread import UnreadBudget

_LIMIT: Final = 1024
_CONFIG: Final = Config(max_message_bytes=_LIMIT, ping_interval=1000, ping_timeout=1000)
_UPGRADE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_CONTINUATION, _TEXT, _BINARY, _CLOSE = 0, 1, 2, 8


@define
class Client:
    """Stands for the connection: it takes the messages and the reason of the end."""

    end_reason: EndReason | None = None
    media_heard_at: Callable[[], float] = lambda: 0.0
    debt: float = 0.0
    max_message_bytes: int = _LIMIT
    limit_of_messages: str = "max_message_bytes"
    unread: UnreadBudget = field(factory=lambda: UnreadBudget(16 * _LIMIT))
    send_budget: SendBudget = field(factory=SendBudget)
    texts: list[str] = field(factory=list)
    over: trio.Event = field(factory=trio.Event)

    def receive(self, _: Attachment, text: str, size: int) -> None:
        assert len(text.encode()) == size <= self.max_message_bytes
        if self.end_reason is None:
            self.texts.append(text)

    def attachment_ended(self, _: Attachment, end_reason: EndReason, *, broken: bool, limit: str | None = None) -> None:
        self.end_reason = self.end_reason or end_reason
        self.over.set()

    def attachment_failed(self, _: Attachment, errors: ExceptionGroup[Exception]) -> None:
        raise errors

    async def wait_resumed(self, _: Attachment) -> None:
        await trio.lowlevel.checkpoint()

    def stop_waiting(self, _: Attachment) -> None:
        pass


def check(data: bytes) -> None:
    """The first byte is the size of the pieces in which TCP brings the rest."""
    piece = data[0] or 1 << 16 if data else 1
    trio.run(_talk, data[1:], piece, clock=MockClock(autojump_threshold=0))


async def _talk(data: bytes, piece: int) -> None:
    ours, theirs = memory_stream_pair()
    client = Client()
    attachment = Attachment(theirs, client, _CONFIG)
    await ours.send_all(_UPGRADE)
    async with attachment.open():
        for start in range(0, len(data), piece):
            await ours.send_all(data[start : start + piece])
        await ours.send_eof()
        with trio.fail_after(60):
            await client.over.wait()
        assert client.unread.size <= client.unread.max_bytes
    attachment.detach()
    assert client.unread.size == 0
    assert client.texts == [text.decode() for text in messages(data)]


def messages(data: bytes) -> Iterator[bytes]:
    """Yield the text messages that precede the end of the stream, a close frame, or the first violation (RFC 6455)."""
    message: bytearray | None = None
    while (frame := _take(data)) is not None:
        is_last, opcode, payload, data = frame
        if opcode >= _CLOSE:
            if opcode == _CLOSE:
                return
            continue
        if opcode == _BINARY or (opcode == _CONTINUATION) == (message is None):
            return
        message = (message or bytearray()) + payload
        if not _is_text(bytes(message), is_last=is_last) or len(message) > _LIMIT:
            return
        if is_last:
            yield bytes(message)
            message = None


def _is_text(part: bytes, *, is_last: bool) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError as error:
        return not is_last and error.reason == "unexpected end of data"
    return True


def _take(data: bytes) -> tuple[bool, int, bytes, bytes] | None:
    """The first frame, and the bytes behind it.  None if it is not whole, or breaks RFC 6455 section 5.2 or 5.5."""
    if len(data) < 2 or data[0] & 0x70 or not data[1] & 0x80:
        return None
    opcode, size, at = data[0] & 15, data[1] & 127, 2
    if opcode not in (_CONTINUATION, _TEXT, _BINARY, 8, 9, 10) or (opcode >= 8 and (size > 125 or not data[0] & 0x80)):
        return None
    if size > 125:
        at = 4 if size == 126 else 10
        size = int.from_bytes(data[2:at])
        if size < (126 if at == 4 else 1 << 16):
            return None  # not the shortest form
    if len(data) < at + 4 + size:
        return None
    mask, masked = data[at : at + 4], data[at + 4 : at + 4 + size]
    payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))
    return bool(data[0] & 0x80), opcode, payload, data[at + 4 + size :]
