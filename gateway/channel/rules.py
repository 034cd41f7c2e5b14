"""What moderators decide about a whole channel: a lock, and a limit of its members."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import trio
from attrs import define, field, frozen

from gateway.channel.member import Member
from gateway.identity.rights import MODERATE
from protocol.errors import ErrorCode, RequestError
from protocol.events import LeaveReason

RuleName = Literal["lock", "limit"]
RULES: Final[tuple[RuleName, ...]] = ("lock", "limit")
_FINAL: Final[frozenset[LeaveReason]] = frozenset({"left", "removed", "ended", "moved"})
"""A member that left for one of these reasons is a newcomer when it comes back."""


@frozen
class Rule:
    """A lock, or a limit of ``members``. It stays for ``seconds`` after its channel is empty."""

    seconds: float = 0.0
    members: int | None = None


Rules = Mapping[RuleName, Rule]


@define(eq=False)
class LostMembers:
    """The members of a channel that lost their sessions lately. A lock lets them in again, for ``seconds``.

    There are at most ``maximum``. Past it, the one that was lost first is forgotten.
    """

    maximum: int
    seconds: float
    # By user id: the secret of the session, and the time until which it counts. The oldest comes first.
    _lost: dict[str, tuple[str, float]] = field(factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._lost)

    def add(self, member: Member, reason: LeaveReason, now: float) -> None:
        """A member is gone. Remember it, unless it left for good."""
        self._lost.pop(member.user_id, None)
        if reason in _FINAL:
            return
        if len(self._lost) >= self.maximum:
            del self._lost[next(iter(self._lost))]
        self._lost[member.user_id] = member.secret, now + self.seconds

    def knows(self, newcomer: Member, now: float) -> bool:
        """Whether this client was a member. Its secret or its token proves it."""
        secret, until = self._lost.get(newcomer.user_id, ("", 0.0))
        return now < until and newcomer.may_take_over(secret)


@frozen
class _Kept:
    """A rule of a channel that is not open, until a time on the clock of ``trio.current_time()``."""

    rule: Rule
    until: float
    lost: LostMembers | None


@define(eq=False)
class KeptRules:
    """The rules that outlive their channels for a time.

    There are at most ``maximum``. Past it, the one that ends first is forgotten.
    """

    maximum: int
    _kept: dict[tuple[str, RuleName], _Kept] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._kept)

    def set(
        self, channel_id: str, name: RuleName, rule: Rule | None, now: float, lost: LostMembers | None = None
    ) -> bool:
        """Keep a rule for its time from now on. None ends it. ``lost`` has the members that the lock lets in.

        Return whether another rule had to be forgotten for it.
        """
        self._kept.pop((channel_id, name), None)
        if rule is None or not rule.seconds:
            return False
        if len(self._kept) >= self.maximum:
            self._kept = {key: kept for key, kept in self._kept.items() if kept.until > now}
        if is_full := len(self._kept) >= self.maximum:
            del self._kept[min(self._kept, key=lambda key: self._kept[key].until)]
        self._kept[channel_id, name] = _Kept(rule, now + rule.seconds, lost)
        return is_full

    def of(self, channel_id: str, now: float) -> tuple[dict[RuleName, Rule], LostMembers | None]:
        """The rules that still count for a channel, and the lost members that its lock lets in."""
        found = {name: kept for name in RULES if (kept := self._kept.get((channel_id, name))) and kept.until > now}
        return {name: kept.rule for name, kept in found.items()}, found["lock"].lost if "lock" in found else None


def require_unlocked(rules: Rules, newcomer: Member, is_known: Callable[[], bool]) -> None:
    """Check that a lock lets a client in. Moderators may enter, because they may unlock the channel.

    ``is_known`` tells whether the client was a member. Raises :exc:`RequestError` with ``locked``.
    """
    if "lock" in rules and MODERATE not in newcomer.rights.grants and not is_known():
        raise RequestError(ErrorCode.LOCKED, "a moderator locked this channel")


def is_lost_member(lost: LostMembers | None, newcomer: Member) -> bool:
    """Whether a client was a member, and lost its session lately."""
    return lost is not None and lost.knows(newcomer, trio.current_time())
