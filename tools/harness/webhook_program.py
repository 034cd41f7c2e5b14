"""A program that receives webhooks, and fails in every way in which such a program fails."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Final

import trio
from attrs import define, field

from gateway.presence import webhooks
from tools.harness.history import History, Message

if TYPE_CHECKING:
    from gateway.presence.journal import Journal

#: Virtual seconds until a slow answer.
_SLOW: Final = 0.3


class Answer(enum.Enum):
    """What the program does with a request."""

    TAKES = "takes it"
    IS_SLOW = "takes it after a while"
    FAILS = "HTTP 500"
    HANGS = "no answer"
    REFUSES = "HTTP 422"
    LOSES_ANSWER = "takes it, but the answer gets lost"


#: One after the other, again and again.  Not more than two failures in a row, since the gateway waits ever longer.
ANSWERS: Final = (
    Answer.TAKES,
    Answer.FAILS,
    Answer.LOSES_ANSWER,
    Answer.IS_SLOW,
    Answer.REFUSES,
    Answer.TAKES,
    Answer.TAKES,
    Answer.HANGS,
    Answer.FAILS,
    Answer.TAKES,
)


@define(eq=False)
class WebhookProgram:
    """The far end of :class:`gateway.presence.webhooks.Receiver`, in place of HTTP.

    ``turn`` is the place in :data:`ANSWERS`.  A request that hangs ends after ``timeout`` seconds.  Once the program
    ``is_back``, it takes everything.
    """

    journal: Journal
    history: History
    timeout: float
    turn: int
    is_back: trio.Event = field(factory=trio.Event)
    _busy: set[str] = field(factory=set)

    async def post(self, message: webhooks.Message) -> webhooks.Problem | None:
        """Answer a request, as :data:`gateway.presence.webhooks.Post` says."""
        received = self._read(message)
        if received.channel in self._busy:
            self.history.complain(f"two requests about {received.channel} came at the same time")
        self._busy.add(received.channel)
        try:
            return await self._answer(received)
        finally:
            self._busy.discard(received.channel)

    async def _answer(self, received: Message) -> webhooks.Problem | None:
        answer = Answer.TAKES if self.is_back.is_set() else ANSWERS[self.turn % len(ANSWERS)]
        self.turn += 1
        await trio.sleep(_SLOW if answer is Answer.IS_SLOW else 0)
        if answer in (Answer.TAKES, Answer.IS_SLOW, Answer.LOSES_ANSWER):
            self.history.take(received)
        if answer in (Answer.TAKES, Answer.IS_SLOW):
            return None
        if answer is Answer.HANGS:
            with trio.move_on_after(self.timeout):
                await self.is_back.wait()
        return webhooks.Problem(answer.value, is_of_message=answer is Answer.REFUSES)

    def _read(self, message: webhooks.Message) -> Message:
        """Read the request, and note what is on the disk now.  A request must not begin before its change is there."""
        body = message.body.decode()
        read = json.loads(body)
        data = read["data"]
        position = (data.get("epoch", 0), data.get("revision", 0))
        kind = read["type"].removeprefix("presence.")
        text = body[body.index('"data":') + len('"data":') : -1]
        channel = data.get("channelId", "")
        return Message(message.id, kind, channel, position, text, self.journal.committed, message.number)
