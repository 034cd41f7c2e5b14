"""A gateway that sends wrong participant lists: ``python -m tests.loadtest.lying_gateway FAULT serve …``."""

import sys
from collections.abc import Callable
from typing import Any

import trio

import gateway.cli
from gateway.channel.channel import Channel
from gateway.channel.member import Member

DELAY = 0.4

_broadcast_change = Channel._broadcast_change


def _forget_one(
    channel: Channel, kind: Any, about: Member, *, but: Any = None, reason: Any = None, to: Any = None
) -> int:
    """The oldest member gets no notice of any leave."""
    if kind == "user_left" and channel.members:
        but = next(iter(channel.members.values()))
    return _broadcast_change(channel, kind, about, but=but, reason=reason, to=to)


def _forget_all(
    channel: Channel, kind: Any, about: Member, *, but: Any = None, reason: Any = None, to: Any = None
) -> int:
    """About half of the leaves cause no notice at all."""
    if kind == "user_left" and channel.revision % 2:
        return 0
    return _broadcast_change(channel, kind, about, but=but, reason=reason, to=to)


def _notify_late(
    channel: Channel, kind: Any, about: Member, *, but: Any = None, reason: Any = None, to: Any = None
) -> int:
    """Members get notices of leaves :data:`DELAY` seconds late."""
    if kind != "user_left":
        return _broadcast_change(channel, kind, about, but=but, reason=reason, to=to)

    async def later() -> None:
        await trio.sleep(DELAY)
        _broadcast_change(channel, kind, about, but=but, reason=reason, to=to)

    trio.lowlevel.spawn_system_task(later)
    return 0


def _notify_twice(
    channel: Channel, kind: Any, about: Member, *, but: Any = None, reason: Any = None, to: Any = None
) -> int:
    if kind == "user_left":
        _broadcast_change(channel, kind, about, but=but, reason=reason, to=to)
    return _broadcast_change(channel, kind, about, but=but, reason=reason, to=to)


def _invent_reasons(
    channel: Channel, kind: Any, about: Member, *, but: Any = None, reason: Any = None, to: Any = None
) -> int:
    return _broadcast_change(channel, kind, about, but=but, reason="removed" if kind == "user_left" else None, to=to)


def _slander(channel: Channel, kind: Any, about: Member, *, but: Any = None, reason: Any = None, to: Any = None) -> int:
    """After each join all members get a notice that the new member has left."""
    notified = _broadcast_change(channel, kind, about, but=but, reason=reason, to=to)
    if kind == "user_joined":
        channel.revision += 1
        _broadcast_change(channel, "user_left", about, but=about, reason="left")
    return notified


FAULTS: dict[str, Callable[..., int]] = {
    "forget-one": _forget_one,
    "forget-all": _forget_all,
    "notify-late": _notify_late,
    "notify-twice": _notify_twice,
    "invent-reasons": _invent_reasons,
    "slander": _slander,
}


if __name__ == "__main__":
    Channel._broadcast_change = FAULTS[sys.argv[1]]  # type: ignore[method-assign]
    gateway.cli.main(sys.argv[2:])
