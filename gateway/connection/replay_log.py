"""The answers and events of one session that its client has not acknowledged, so that a new WebSocket can bring
them."""

from collections import deque
from itertools import count

from attrs import define, field, frozen

from gateway.connection.outbox import Frame

_ENTRY_BYTES = 64
"""The memory of an entry beside its text, about. Many short entries must not exceed the limit by much."""


@frozen
class KeptAnswer:
    """The answer to the request with this id. ``number`` counts the answers of the session, and ``request`` is a hash
    of the request's text."""

    request_id: int
    frame: Frame
    number: int
    request: int


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
    # An event is kept as the frame that all its receivers share. Its number follows from its place: the first event
    # here has the number ``_first_event``. So an event that many receivers keep costs each of them no object.
    _entries: deque[Frame | KeptAnswer] = field(factory=deque)
    _first_event: int = 1
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

    def keep_event(self, frame: Frame) -> int:
        """Number an event and keep it. Return the number."""
        self.last_event += 1
        self._keep(frame, frame.size)
        return self.last_event

    def keep_answer(self, request_id: int, frame: Frame) -> None:
        """Keep the answer to the request that is being served."""
        self.answers += 1
        self.last_answer = max(self.last_answer, request_id)
        answer = self._kept[request_id] = KeptAnswer(request_id, frame, self.answers, self._serving)
        self._keep(answer, frame.size)

    def _keep(self, entry: Frame | KeptAnswer, size: int) -> None:
        self._entries.append(entry)
        self.size += size + _ENTRY_BYTES
        while self.size > self.max_bytes:
            dropped = self._drop_oldest()
            if isinstance(dropped, KeptAnswer):
                self._lost_answer = max(self._lost_answer, dropped.request_id)
            else:
                self._lost_event = self._first_event - 1

    def _drop_oldest(self) -> Frame | KeptAnswer:
        entry = self._entries.popleft()
        if isinstance(entry, KeptAnswer):
            self.size -= entry.frame.size + _ENTRY_BYTES
            if self._kept.get(entry.request_id) is entry:
                del self._kept[entry.request_id]
        else:
            self.size -= entry.size + _ENTRY_BYTES
            self._first_event += 1
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
        while self._entries:
            oldest = self._entries[0]
            if oldest.request_id > answer if isinstance(oldest, KeptAnswer) else self._first_event > event:
                break
            self._drop_oldest()

    def needed(self, event: int, answer: int) -> list[Frame] | None:
        """Return the messages that a client with this newest ``event`` and ``answer`` still needs, in the order of
        sending. None if some of them were dropped."""
        if self._lost_event > event or self._lost_answer > answer:
            return None
        frames, numbers = [], count(self._first_event)
        for entry in self._entries:
            if isinstance(entry, KeptAnswer):
                if entry.request_id > answer:
                    frames.append(entry.frame)
            elif (number := next(numbers)) > event:
                frames.append(entry.numbered(number))
        return frames

    def start_over(self) -> None:
        """Forget all messages, because the client gets the whole state."""
        self._entries.clear()
        self._kept.clear()
        self.size = 0
        self._first_event = self.last_event + 1
        self._lost_event, self._lost_answer = self.last_event, self.last_answer
