"""Clients that watch channels without joining them, and the check that each has the right list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Final

import trio
from attrs import define, field

from protocol.codec import decode_from_gateway
from protocol.events import VoiceState
from protocol.mirror import Mirror, positions_for
from protocol.responses import Error, Ok
from protocol.vocabulary import Position
from protocol.watching import Unwatch, Watch, Watched
from tools.bench import BenchError
from tools.bench.channel import BenchChannel, LeaveWatch, for_each
from tools.light import SharedDecoder
from tools.light.lean_signalling import LeanSignalling

#: Number of watchers that send a request at the same time.
AT_ONCE: Final = 20
#: Number of changes that a decoder remembers. All watchers have the same ones.
_KEPT: Final = 1024
#: An empty channel. The gateway closes a client that neither joins nor watches, so idle clients watch this one.
ELSEWHERE: Final = "elsewhere"
_OK: Final = b'"type":"ok"'
_CHANNEL: Final = b'"channelId":'


@define(eq=False)
class Watcher(LeanSignalling):
    """A client in no channel. ``mirror`` has the lists of the channels that it watches."""

    mirror: Mirror = field(factory=Mirror, init=False)

    def acknowledge(self, at: float) -> None:
        """Do nothing: only a session keeps messages."""

    async def watch(self, channel_id: str, decode: AnswerDecoder) -> None:
        """Watch a channel from the position on that the mirror has. Raises :exc:`BenchError` for a refusal."""
        after = positions_for(self.mirror.after, [channel_id], None)
        [answer] = await self._exchange([Watch(channel_ids=(channel_id,), after=after)], {})
        self.mirror.start(decode(answer))

    async def measure(self, requests: Sequence[Watch]) -> tuple[int, int]:
        """Send these requests together. Return the size of the answers, and the number of channels in them.

        Raises :exc:`BenchError` for a refusal.
        """
        answers = await self._exchange(requests, {})
        if refused := [answer for answer in answers if not answer.startswith(_OK, answer.index(b",") + 1)]:
            raise BenchError(f"a watcher was refused: {refused[0].decode()}")
        return sum(map(len, answers)), sum(answer.count(_CHANNEL) for answer in answers)

    def take_events(self, decode: SharedDecoder) -> int:
        """Apply the changes that have come, and return their number. Raises :exc:`BenchError` for a gap."""
        for raw in self.events:
            event = decode(raw.decode(), {})
            assert isinstance(event, VoiceState)
            position, known = Position(event.epoch, event.revision), self.mirror.after[event.channel_id]
            if position != Position(known.epoch, known.revision + 1):
                raise BenchError(f"a watcher got {position} after {known}")
            self.mirror.take(event)
        count = len(self.events)
        self.events.clear()
        return count


class AnswerDecoder:
    """Decodes the answers to ``watch``. Watchers with the same position get the same answer, decoded only once."""

    def __init__(self) -> None:
        self._text = b""
        self._watched = Watched(())

    def __call__(self, answer: bytes) -> Watched:
        """Raises :exc:`BenchError` for a refusal."""
        text = answer.partition(b",")[2]
        if text != self._text:
            message = decode_from_gateway(b'{"id":0,' + text, {0: Watch})
            if isinstance(message, Error):
                raise BenchError(f"a watcher was refused: {message.data.message}")
            assert isinstance(message, Ok)
            assert isinstance(message.data, Watched)
            self._text, self._watched = text, message.data
        return self._watched


@define(eq=False)
class Watchers:
    """Clients that watch a channel, or do not at present. Their connections stay open either way."""

    channel: BenchChannel
    clients: list[Watcher] = field(factory=list)
    is_watching: bool = False
    notices: LeaveWatch | None = None

    async def open(self, count: int) -> None:
        """Connect so many more clients. Raises :exc:`BenchError`."""
        heard = partial(setattr, self.channel, "heard_at")
        decode = AnswerDecoder()

        async def connect(_: int) -> None:
            client = await self.channel.pool.open(partial(Watcher, on_message=heard, on_left=self._note))
            await client.watch(ELSEWHERE, decode)
            self.clients.append(client)

        await for_each(range(count), connect, at_once=AT_ONCE)

    def _note(self, user_id: str, at: float) -> None:
        if self.notices is not None:
            self.notices.note(user_id, at)

    async def watch(self) -> None:
        """Let all watch the channel. Raises :exc:`BenchError`."""
        decode = AnswerDecoder()
        await for_each(self.clients, lambda client: client.watch(self.channel.id, decode), at_once=AT_ONCE)
        self.is_watching = True

    async def unwatch(self) -> None:
        """Let nobody watch the channel any more."""
        request = Unwatch(channel_ids=(self.channel.id,))
        await for_each(self.clients, lambda client: client.perform([request]), at_once=AT_ONCE)
        self.is_watching = False

    def expect_leave(self, user_id: str) -> LeaveWatch | None:
        """Begin to note when the watchers learn that this member left. None if nobody watches."""
        watching = self.clients if self.is_watching else ()
        self.notices = LeaveWatch({user_id: []}, len(watching)) if watching else None
        return self.notices

    async def wait_notices(self, notices: LeaveWatch, seconds: float) -> None:
        """Wait until all watchers have the notice. Raises :exc:`BenchError` after ``seconds``."""
        with trio.move_on_after(seconds):
            await notices.done.wait()
            return
        raise BenchError(f"after {seconds:g} s {notices.outstanding} of {len(self.clients)} watchers have no notice")

    def check(self, users: Collection[str]) -> None:
        """Check that each watcher is connected, missed nothing, and has these users on its list.

        It takes all events that have come. Raises :exc:`BenchError`.
        """
        decode, counts = SharedDecoder(kept=_KEPT), set()
        for client in self.clients:
            if client.close_code is not None:
                raise BenchError(f"a watcher kept up, but was closed with {client.close_code}")
            counts.add(client.take_events(decode))
            listed = client.mirror.channels.get(self.channel.id, {})
            if self.is_watching and (differing := set(users) ^ listed.keys()):
                raise BenchError(f"the list of a watcher is wrong: {_some(sorted(differing))}")
        if len(counts) > 1:
            raise BenchError(f"some watchers got more changes than others: {_some(sorted(counts))}")


def _some(values: Sequence[object]) -> str:
    return f"{[*values[:5]]}"
