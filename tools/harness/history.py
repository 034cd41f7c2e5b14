"""The messages that one program outside the gateway got, and the check that they agree with the journal."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import define, field, frozen

from tools.harness.broken import GuaranteeBroken

Position = tuple[int, int]


@frozen(eq=False)
class Line:
    """One entry of the journal.  ``text`` is the data of its ``voice_state``, or empty if the list did not change."""

    number: int
    channel: str
    type: str
    position: Position
    text: str


@frozen(eq=False)
class Message:
    """One message as a program got it.

    ``type`` is that of a change, ``snapshot`` or ``reset``.  ``committed`` is the number of the newest entry that was
    on the disk at that moment.  A ``reset`` stands for all changes up to the entry ``number``.
    """

    id: str
    type: str
    channel: str
    position: Position
    text: str
    committed: int
    number: int


@define(eq=False)
class History:
    """All that a program called ``name`` was told, each message once.

    ``repeats`` counts the messages that came again with the same id.  They may only come if ``may_repeat``.  A program
    that ``reads_journal`` gets the changes of all channels in one order, as long as the journal has them.  Lists in
    place of changes may only come if ``may_skip``.  ``trouble`` is the first thing that no program should see.
    """

    name: str
    may_repeat: bool
    reads_journal: bool
    may_skip: bool = False
    messages: list[Message] = field(factory=list)
    repeats: int = 0
    trouble: str = ""
    _texts: dict[str, str] = field(factory=dict)

    def take(self, message: Message) -> None:
        """Note a message, unless it came before."""
        if message.type not in ("snapshot", "reset") or self.may_repeat:
            if (known := self._texts.get(message.id)) is not None:
                self.repeats += 1
                if known != message.text:
                    self.complain(f"the id {message.id} stands for two messages")
                return
            self._texts[message.id] = message.text
        self.messages.append(message)

    def complain(self, trouble: str) -> None:
        """Note what no program should see."""
        self.trouble = self.trouble or trouble


def is_complete(history: History, lines: Iterable[Line]) -> bool:
    """Whether the program knows everything by now."""
    try:
        _walk(history, lines).require_end()
    except GuaranteeBroken:
        return False
    return True


def judge_history(history: History, lines: Iterable[Line], *, is_over: bool) -> None:
    """Require that the program got the journal's history, each change once and in order.

    A list may come in place of changes only if the history ``may_skip``.  Then it must be the list that these changes
    make.  Once the run ``is_over``, the program must know everything.
    """
    if history.trouble:
        raise GuaranteeBroken(3, f"{history.name}: {history.trouble}")
    told = _walk(history, lines)
    if history.repeats and not history.may_repeat:
        raise GuaranteeBroken(2, f"{history.name} got {history.repeats} messages twice")
    if is_over:
        told.require_end()


def _walk(history: History, lines: Iterable[Line]) -> _Told:
    told = _Told(history)
    for line in lines:
        if line.text:
            told.changes.setdefault(line.channel, []).append(line)
    for place, message in enumerate(history.messages):
        if message.type == "reset":
            told.take_reset(message, is_first=place == 0)
        elif message.type == "snapshot":
            told.take_list(message)
        else:
            told.take_change(message)
    return told


@define(eq=False)
class _Told:
    """The part of the journal that a program knows.

    ``changes`` has the journal's changes by channel, and ``known`` the number of them that the program knows.  After a
    ``reset``, the program need not get the changes up to the entry ``forgotten``.  ``newest`` is its newest change.
    """

    history: History
    changes: dict[str, list[Line]] = field(factory=dict)
    known: dict[str, int] = field(factory=dict)
    forgotten: int = 0
    newest: int = 0

    def take_reset(self, message: Message, *, is_first: bool) -> None:
        if not is_first:  # a program that comes for the first time knows nothing that it could forget
            self._require_may_skip(message)
        self.forgotten = message.number

    def take_list(self, message: Message) -> None:
        self._require_may_skip(message)
        changes = self.changes.get(message.channel, [])
        count = bisect_right(changes, message.position, key=lambda line: line.position)
        if count < self.known.get(message.channel, 0):
            raise self._broken(3, "was told an older list than the one that it had", message)
        if count and changes[count - 1].number > message.committed:
            raise self._broken(3, "was told what a crash could take back", message)
        people = _people(changes[:count])
        if json.loads(message.text)["participants"] != people:
            listed = [one["userId"] for one in people]
            raise self._broken(3, f"was told a wrong list, since the journal lists {listed}", message)
        self.known[message.channel] = count

    def take_change(self, message: Message) -> None:
        changes = self.changes.get(message.channel, [])
        place = bisect_right(changes, message.position, key=lambda line: line.position) - 1
        known = self.known.get(message.channel, 0)
        if place < 0 or changes[place].text != message.text or changes[place].type != message.type:
            raise self._broken(3, "was told a change that the journal does not have", message)
        if place < known:
            raise self._broken(2, "was told a change again, or after a later one", message)
        if any(line.number > self.forgotten for line in changes[known:place]):
            raise self._broken(3, f"missed {place - known} changes", message)
        number = changes[place].number
        if number > message.committed:
            raise self._broken(3, "was told what a crash could take back", message)
        if self.history.reads_journal and number < self.newest:
            raise self._broken(3, "was told a change after a later one of another channel", message)
        self.known[message.channel] = place + 1
        self.newest = max(self.newest, number)

    def require_end(self) -> None:
        """Require that the program knows the last state of each list."""
        for channel, changes in self.changes.items():
            rest = changes[self.known.get(channel, 0) :]
            if any(line.number > self.forgotten for line in rest) or (rest and _people(changes)):
                why = f"{self.history.name} missed the last {len(rest)} changes of {channel}"
                raise GuaranteeBroken(3, why, rest[0].text)

    def _require_may_skip(self, message: Message) -> None:
        if not self.history.may_skip:
            raise self._broken(3, "was told a list, though all changes were there", message)

    def _broken(self, guarantee: int, why: str, message: Message) -> GuaranteeBroken:
        line = f"{message.type} of {message.channel} at {message.position}, with the id {message.id}"
        return GuaranteeBroken(guarantee, f"{self.history.name} {why}", line)


def _people(changes: Sequence[Line]) -> list[Any]:
    """The list that these changes make, from the first one on."""
    people: dict[str, Any] = {}
    for line in changes:
        change = json.loads(line.text)
        people[change["userId"]] = change["participant"]
        if line.type == "user_left":
            del people[change["userId"]]
    return list(people.values())
