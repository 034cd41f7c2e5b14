"""The answers and events of one session that its client has not acknowledged, so that a new WebSocket can bring
them."""

from collections import deque

from attrs import define, field, frozen

from gateway.connection.outbox import Frame

_ENTRY_BYTES = 64
"""The memory of an entry beside its text, about. Many short entries must not exceed the limit by much."""


@frozen
class KeptAnswer:
    """The answer to a request. ``number`` counts the answers of the session, and ``request`` is a hash of the request's
    text."""

    frame: Frame
    number: int
    request: int


# A frame with the ``seq`` of its event and the id of its request, of which one is -1. A plain tuple, because each
# receiver of an event makes one.
_Entry = tuple[Frame, int, int]


@define(eq=False)
class ReplayLog:
    """Numbers the events of a session, and keeps its messages in the order of sending until they are acknowledged.

    ``max_bytes`` limits the kept messages. Above it, the oldest ones are dropped, and a client that needs them gets the
    whole state instead. ``last_event`` is the ``seq`` of the newest event. ``last_request`` is the highest id of a
    request that was taken to be served, ``last_answer`` the highest one with an answer. ``answers`` counts the answers.
    """

    max_bytes: int
    last_request: int = -1
    last_answer: int = -1
    last_event: int = 0
    answers: int = 0
    size: int = 0
    _entries: deque[_Entry] = field(factory=deque)
    _kept: dict[int, KeptAnswer] = field(factory=dict)
    # A hash of the text of the request that is being served.
    _serving: int = 0
    # The newest event and answer that were dropped before their acknowledgement.
    _lost_event: int = 0
    _lost_answer: int = -1
    _acknowledges: bool = False

    def take_request(self, request_id: int, text: str) -> None:
        """A request is served now."""
        self.last_request = max(self.last_request, request_id)
        self._serving = hash(text)

    def keep_event(self, frame: Frame) -> Frame:
        """Number an event and keep it. Return the numbered frame."""
        event = self.last_event = self.last_event + 1
        numbered = frame.numbered(event)
        self._keep((numbered, event, -1))
        return numbered

    def keep_answer(self, request_id: int, frame: Frame) -> None:
        """Keep the answer to the request that is being served."""
        self.answers += 1
        self.last_answer = max(self.last_answer, request_id)
        self._kept[request_id] = KeptAnswer(frame, self.answers, self._serving)
        self._keep((frame, -1, request_id))

    def _keep(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self.size += entry[0].size + _ENTRY_BYTES
        while self.size > self.max_bytes:
            _, event, answer = self._drop_oldest()
            self._lost_event = max(self._lost_event, event)
            self._lost_answer = max(self._lost_answer, answer)

    def _drop_oldest(self) -> _Entry:
        entry = frame, _, answer = self._entries.popleft()
        self.size -= frame.size + _ENTRY_BYTES
        kept = self._kept.get(answer)
        if kept is not None and kept.frame is frame:
            del self._kept[answer]
        return entry

    def answer_to(self, request_id: int, text: str) -> KeptAnswer | None:
        """The kept answer, if the same request came before. A client of an older kind may use an id for several
        requests, so the text must be the same, too."""
        kept = self._kept.get(request_id)
        return kept if kept is not None and kept.request == hash(text) else None

    def has_forgotten(self, request_id: int) -> bool:
        """Whether a request with this id was answered, its answer is gone, and the client may not have it. A client
        that never acknowledges anything need not let its ids rise, so nobody can tell."""
        return self._acknowledges and request_id <= self._lost_answer

    def acknowledge(self, event: int, answer: int) -> None:
        """Forget what the client has: the events up to ``event``, and the answers to requests up to ``answer``."""
        self._acknowledges = True
        # The client has received everything in the order of the log. So what it has is the log's beginning.
        while self._entries and not _is_needed(self._entries[0], event, answer):
            self._drop_oldest()

    def needed(self, event: int, answer: int) -> list[Frame] | None:
        """Return the messages that a client with this newest ``event`` and ``answer`` still needs, in the order of
        sending. None if some of them were dropped."""
        if self._lost_event > event or self._lost_answer > answer:
            return None
        return [entry[0] for entry in self._entries if _is_needed(entry, event, answer)]

    def start_over(self) -> None:
        """Forget all messages, because the client gets the whole state."""
        self._entries.clear()
        self._kept.clear()
        self.size = 0
        self._lost_event, self._lost_answer = self.last_event, self.last_answer


def _is_needed(entry: _Entry, event: int, answer: int) -> bool:
    """Whether a client with this newest ``event`` and ``answer`` lacks the message."""
    return entry[1] > event or entry[2] > answer
