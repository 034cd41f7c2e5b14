"""Compares the lists that clients got with the members that each channel really had.

The tool makes every client join and leave, so it knows who is in a channel.  Each change of a channel's list has a
position, the same for all clients.  This module judges the facts of all workers in the order of their times.  It stops
at the *watermark*, the time up to which it knows the facts of all workers.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

from attrs import define, field, frozen

from protocol.events import LeaveReason, VoiceStateType
from protocol.vocabulary import Position
from tools.light import Histogram
from tools.loadtest.messages import ChangeFact, EndedFact, Fact, FinalListFact, JoinedFact, JoiningFact, LeavingFact
from tools.loadtest.plan import LeaveKind

ErrorKind = Literal[
    "missed", "repeated", "untrue", "reason", "conflicting", "differs", "unannounced", "ghost", "absent"
]

MEANINGS: Final[dict[ErrorKind, str]] = {
    "missed": "changes of which a client in the channel got no notice",
    "repeated": "notices that a client got twice, or out of order",
    "untrue": "notices of joins and leaves that had not happened",
    "reason": "notices of leaves with a wrong reason",
    "conflicting": "different changes that clients got under one position",
    "differs": "changes that did not fit the client's list, or whose list or count was wrong",
    "unannounced": "leaves of which no client got a notice",
    "ghost": "entries in a list for clients that had left",
    "absent": "clients in the channel that a list lacked",
}

#: Seconds that the gateway may need to clean up.  A leave that no client has learned of by then is unannounced.
PATIENCE: Final = 5.0
#: The same at the end of the run, when clients neither join nor leave.
REST: Final = 0.5
#: Seconds by which the tool may learn of a connection's end later than other clients.
GRACE: Final = 2.0
#: Changes of a channel that are kept for comparison.
_KEPT: Final = 20_000

#: Before any change.
START: Final = Position(0, 0)

_REASONS: Final[dict[LeaveKind, frozenset[LeaveReason]]] = {
    "leave": frozenset({"left"}),
    "close": frozenset({"left"}),
    # A killed client may come back before the gateway has noticed its end.  It then replaces itself.
    "kill": frozenset({"disconnected", "replaced"}),
}


@define(eq=False)
class VisitFacts:
    """The tool's knowledge of one stay of one client.

    ``joined_by`` and ``left_by`` are the positions of the list by its join and its leave.  ``position`` is the newest
    one that the client got.  ``counts`` says whether its leave counts in the measured times.  ``early``
    counts notices of its leave that came before the tool knew of the end.
    """

    number: int
    asked_at: float
    joined_at: float = math.inf
    joined_by: Position | None = None
    leaving_at: float = math.inf
    kind: LeaveKind | None = None
    ended_at: float = math.inf
    planned: bool = True
    left_by: Position | None = None
    position: Position = START
    counts: bool = True
    early: int = 0

    @property
    def there(self) -> bool:
        """Whether the client has joined and has not begun to leave."""
        return self.joined_by is not None and math.isinf(self.leaving_at) and math.isinf(self.ended_at)

    @property
    def coming(self) -> bool:
        """Whether the client has asked to join and has no answer yet."""
        return self.joined_by is None and math.isinf(self.ended_at)


@frozen
class ListChange:
    type: VoiceStateType
    about: str


@define(eq=False)
class ChannelTruth:
    """The truth about one channel.

    ``newest`` is the highest position that any client got.  ``history`` has the changes by position.  ``ended`` has the
    stays that ended recently, whose notices may still come.
    """

    visits: dict[str, list[VisitFacts]] = field(factory=dict)
    history: dict[Position, ListChange] = field(factory=dict)
    newest: Position = START
    ended: list[tuple[str, VisitFacts]] = field(factory=list)

    def visit(self, user_id: str, number: int) -> VisitFacts:
        return next(visit for visit in reversed(self.visits[user_id]) if visit.number == number)

    def latest(self, user_id: str) -> VisitFacts | None:
        visits = self.visits.get(user_id)
        return visits[-1] if visits else None

    def stay_ended_by(self, position: Position, user_id: str) -> VisitFacts | None:
        """Return the stay that a ``user_left`` of this user at this position ends, or None.

        No stay outlives its epoch, since a channel closes only when nobody is in it.
        """
        for visit in reversed(self.visits.get(user_id, ())):
            joined_by = visit.joined_by
            if joined_by is not None and joined_by.epoch == position.epoch and joined_by < position:
                return visit
        return None


@define(eq=False)
class Truth:
    """Judges the facts of all channels.

    ``errors`` counts errors by kind, and ``examples`` describes the first few.  ``notices`` counts the changes
    that clients got.  ``leave_to_notice`` measures the time from a leave until each other client got the notice, by the
    way of leaving.  It ignores leaves after ``measured_until``.  ``outsiders`` are users that are no
    light clients of this run.
    """

    errors: Counter[ErrorKind] = field(factory=Counter)
    notices: int = 0
    leave_to_notice: dict[LeaveKind, Histogram] = field(factory=dict)
    examples: list[str] = field(factory=list)
    measured_until: float = math.inf
    outsiders: set[str] = field(factory=set)
    _waiting: list[tuple[float, int, Fact]] = field(factory=list)
    _numbers: itertools.count[int] = field(factory=itertools.count)
    _channels: dict[str, ChannelTruth] = field(factory=dict)

    def learn(self, facts: Iterable[Fact]) -> None:
        """Take facts of one worker, in the order of their times."""
        for fact in facts:
            heapq.heappush(self._waiting, (fact.at, next(self._numbers), fact))

    def judge(self, watermark: float, *, patience: float = PATIENCE) -> None:
        """Judge all facts up to ``watermark``.  All of these facts must be known."""
        while self._waiting and self._waiting[0][0] <= watermark:
            self._judge(heapq.heappop(self._waiting)[2])
        for channel_id, channel in self._channels.items():
            self._judge_ended(channel_id, channel, watermark - patience)

    def judge_at_rest(self, watermark: float) -> None:
        """Judge as :meth:`judge` does, after :data:`REST` seconds without changes.

        A client that has not got a change by now has missed it.
        """
        self.judge(watermark, patience=REST)

    @property
    def total(self) -> int:
        return sum(self.errors.values())

    def _judge(self, fact: Fact) -> None:
        channel = self._channels.setdefault(fact.channel_id, ChannelTruth())
        match fact:
            case JoiningFact():
                visits = channel.visits.setdefault(fact.user_id, [])
                visits.append(VisitFacts(fact.visit, fact.at))
                del visits[:-3]
            case JoinedFact():
                self._judge_joined(channel, fact)
            case LeavingFact():
                visit = channel.visit(fact.user_id, fact.visit)
                visit.leaving_at, visit.kind, visit.counts = fact.at, fact.kind, fact.at < self.measured_until
            case EndedFact():
                self._ended(channel, fact)
            case ChangeFact():
                self._judge_notice(channel, fact)
            case FinalListFact():
                self._judge_final_list(channel, fact)

    def _wrong(self, kind: ErrorKind, what: str, count: int = 1) -> None:
        self.errors[kind] += count
        if len(self.examples) < 20:
            self.examples.append(f"{kind}: {what}")

    def _judge_joined(self, channel: ChannelTruth, fact: JoinedFact) -> None:
        visit = channel.visit(fact.user_id, fact.visit)
        visit.joined_at, visit.joined_by, visit.position = fact.at, fact.position, fact.position
        channel.newest = max(channel.newest, fact.position)
        self._remember(channel, fact.position, ListChange("user_joined", fact.user_id), fact.user_id)
        listed = set(fact.listed)
        if len(listed) < len(fact.listed):
            self._wrong("repeated", f"the first list of {fact.user_id} has a user twice")
        for user in listed - self.outsiders:
            latest = channel.latest(user)
            # The tool may not know of a recent end yet, and a client that asked to join may have joined.
            if latest is None or latest.ended_at + GRACE < visit.asked_at:
                self._wrong("ghost", f"the first list of {fact.user_id} has {user}, which is not in the channel")
        for user, visits in channel.visits.items():
            for other in visits:
                if other.there and _is_before(other.joined_by, fact.position) and user not in listed:
                    self._wrong("absent", f"the first list of {fact.user_id} has no {user}")

    def _ended(self, channel: ChannelTruth, fact: EndedFact) -> None:
        visit = channel.visit(fact.user_id, fact.visit)
        visit.ended_at, visit.planned = fact.at, fact.planned
        if visit.joined_by is not None:
            channel.ended.append((fact.user_id, visit))
        if fact.planned and visit.early:
            self._wrong("untrue", f"others got a notice that {fact.user_id} left before it did", visit.early)
        visit.early = 0  # after a failure the early notices were right, and only the tool was late

    def _remember(self, channel: ChannelTruth, position: Position, change: ListChange, receiver: str) -> None:
        known = channel.history.setdefault(position, change)
        if known != change:
            self._wrong("conflicting", f"{receiver}, {position}: {change}, others {known}")
        while len(channel.history) > _KEPT:
            del channel.history[next(iter(channel.history))]

    def _judge_notice(self, channel: ChannelTruth, fact: ChangeFact) -> None:
        self.notices += 1
        observer = channel.visit(fact.user_id, fact.visit)
        what = f"{fact.user_id} got {fact.position} after {observer.position}"
        if fact.position <= observer.position:
            self._wrong("repeated", what)
        elif missed := _changes_after(observer.position, fact.position) - 1:
            self._wrong("missed", what, missed)
        observer.position = max(observer.position, fact.position)
        channel.newest = max(channel.newest, fact.position)
        if not fact.agrees:
            self._wrong("differs", f"{fact.user_id}, {fact.position}: {fact.change} of {fact.about}")
        self._remember(channel, fact.position, ListChange(fact.change, fact.about), fact.user_id)
        if fact.about in self.outsiders:
            return
        if fact.change == "user_joined":
            self._judge_notice_of_join(channel, fact)
        elif fact.change == "user_left":
            self._judge_notice_of_leave(channel, fact)

    def _judge_notice_of_join(self, channel: ChannelTruth, fact: ChangeFact) -> None:
        # Other clients may get the notice before the joining client reads its answer.
        true = any(
            visit.joined_by == fact.position or visit.joined_by is None for visit in channel.visits.get(fact.about, ())
        )
        if not true:
            self._wrong("untrue", f"{fact.user_id} got a notice that {fact.about} joined, which it did not")

    def _judge_notice_of_leave(self, channel: ChannelTruth, fact: ChangeFact) -> None:
        visit = channel.stay_ended_by(fact.position, fact.about)
        if visit is None or visit.left_by not in (None, fact.position):
            self._wrong("untrue", f"{fact.user_id} got a notice that {fact.about} left, which it did not")
            return
        visit.left_by = fact.position
        if visit.kind is None:
            if math.isinf(visit.ended_at):
                visit.early += 1  # `_ended` judges it, when the tool knows how the connection ended
            return
        if fact.reason not in _REASONS[visit.kind]:
            what = f"{fact.user_id} got the reason {fact.reason} for {fact.about}, which left by {visit.kind}"
            self._wrong("reason", what)
        if visit.counts:
            self.leave_to_notice.setdefault(visit.kind, Histogram()).record(fact.at - visit.leaving_at)

    def _judge_ended(self, channel_id: str, channel: ChannelTruth, until: float) -> None:
        """Check that somebody learned of each leave up to ``until``."""
        waiting = []
        for user, visit in channel.ended:
            if visit.ended_at > until:
                waiting.append((user, visit))
            elif visit.left_by is None and self._somebody_else(channel, visit):
                self._wrong("unannounced", f"nobody in {channel_id} got a notice that {user} left")
        channel.ended = waiting

    def _somebody_else(self, channel: ChannelTruth, left: VisitFacts) -> bool:
        """Whether another client was in the channel and stayed long enough to learn of the leave."""
        noticed_by = left.ended_at + REST
        return any(
            visit is not left
            and visit.joined_at < left.leaving_at
            and min(visit.leaving_at, visit.ended_at) > noticed_by
            for visits in channel.visits.values()
            for visit in visits
        )

    def _judge_final_list(self, channel: ChannelTruth, fact: FinalListFact) -> None:
        observer = channel.visit(fact.user_id, fact.visit)
        if behind := _changes_after(observer.position, channel.newest):
            self._wrong("missed", f"{fact.user_id} got no notice of the last {behind} changes", behind)
        there = {user for user, visits in channel.visits.items() if visits[-1].there}
        coming = {user for user, visits in channel.visits.items() if visits[-1].coming}
        listed = set(fact.listed) - self.outsiders - coming
        for user in listed - there:
            self._wrong("ghost", f"the list of {fact.user_id} still has {user}")
        for user in there - listed:
            self._wrong("absent", f"the list of {fact.user_id} has no {user}")

    def finish(self, *, everything: bool) -> None:
        """Judge the rest after the last fact.

        ``everything`` is False if the run broke off.  Then facts may be missing, and missing notices are no errors.
        """
        self.judge(math.inf if everything else -math.inf)
        for channel in self._channels.values():
            for user, visits in channel.visits.items():
                if early := sum(visit.early for visit in visits):
                    self._wrong("untrue", f"others got a notice that {user} left, which it did not", early)


def _is_before(position: Position | None, other: Position) -> bool:
    return position is not None and position < other


def _changes_after(position: Position, later: Position) -> int:
    """The number of changes by which ``later`` is newer.

    A new epoch begins when a channel reopens.  Who was in the channel before it missed at least its end.
    """
    if position.epoch == later.epoch:
        return later.revision - position.revision
    return later.revision + 1
