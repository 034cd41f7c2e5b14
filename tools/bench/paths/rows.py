"""The rows of the table: what happens to the receiver of a call, and how soon all must be well again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from attrs import frozen

from tools.bench.calls.conditions import Conditions
from tools.bench.calls.wire import RECEIVER
from tools.bench.paths.call import PathFigures, TroubledCall

BLOCKED_SECONDS: Final = 30.0
GAP_SECONDS: Final = 8.0
#: Browsers look for new addresses only every few seconds.
BOTH_SECONDS: Final = 4.0
#: Longer than any server waits for people who are gone: a late leave must not be missed.
WATCHED_SECONDS: Final = 21.0
#: Seconds that a receiver without UDP gets for its first picture.
FIRST_SECONDS: Final = 15.0
#: Janus waits for a silent client for a minute.
MOST_UNTIL_GONE: Final = 90.0
_WITHOUT_UDP: Final = Conditions(udp=False)
_CUT: Final = Conditions(loss=1.0)
_PERFECT: Final = Conditions()


@frozen
class PathAims:
    """Limits for our gateway, in seconds.  None means that there is no aim."""

    picture: float | None = None
    udp: float | None = None
    gone: float | None = None


@frozen
class PathRow:
    """A change of the receiver's network.  ``label`` is a short title for plots.

    ``play`` carries it out in a call that has not begun.  ``in_firefox`` says whether the receiver also uses Firefox,
    and ``is_ipv6`` whether the server has an IPv6 address only.
    """

    name: str
    label: str
    title: str
    play: Callable[[TroubledCall], Awaitable[PathFigures]]
    aims: PathAims
    in_firefox: bool = False
    is_ipv6: bool = False


async def _no_udp(call: TroubledCall) -> PathFigures:
    await call.let_sender_join()
    await call.set_link(_WITHOUT_UDP)
    begun = await call.let_receiver_join()
    until = await call.watch(FIRST_SECONDS, "without UDP")
    return PathFigures(picture=(await call.seen_by_receiver()).first_after(begun, until))


async def _blocked(call: TroubledCall) -> PathFigures:
    await call.begin()
    blocked = call.mark("UDP is blocked")
    await call.set_link(_WITHOUT_UDP)
    await call.watch(BLOCKED_SECONDS, "without UDP")
    lifted = call.mark("UDP passes again")
    await call.set_link(_PERFECT)
    until = await call.watch(WATCHED_SECONDS, "with UDP again")
    seen = await call.seen_by_receiver()
    return PathFigures(
        picture=seen.back_after(blocked, lifted),
        udp=seen.udp_after(lifted, until),
        seen_leaving=await call.was_seen_leaving(blocked),
    )


async def _address(call: TroubledCall) -> PathFigures:
    """The other network is there before the first one goes."""
    await call.begin()
    call.mark("another address comes")
    call.wire.ends[RECEIVER].set_addresses(home=True, away=True)
    await call.watch(BOTH_SECONDS, "with two addresses")
    return await _lose_first_address(call)


async def _at_once(call: TroubledCall) -> PathFigures:
    await call.begin()
    return await _lose_first_address(call)


async def _lose_first_address(call: TroubledCall) -> PathFigures:
    changed = call.mark("the first address goes")
    call.wire.ends[RECEIVER].set_addresses(home=False, away=True)
    until = await call.watch(WATCHED_SECONDS, "with another address")
    picture = (await call.seen_by_receiver()).back_after(changed, until)
    return PathFigures(picture=picture, seen_leaving=await call.was_seen_leaving(changed))


async def _gap(call: TroubledCall) -> PathFigures:
    await call.begin()
    cut = call.mark("nothing passes")
    await call.set_link(_CUT)
    await call.watch(GAP_SECONDS, "nothing passes")
    mended = call.mark("everything passes again")
    await call.set_link(_PERFECT)
    until = await call.watch(WATCHED_SECONDS, "all passes again")
    picture = (await call.seen_by_receiver()).back_after(mended, until)
    return PathFigures(picture=picture, seen_leaving=await call.was_seen_leaving(cut))


async def _close(call: TroubledCall) -> PathFigures:
    await call.begin()
    closed = call.mark("the tab is closed")
    await call.receiver.close_tab()
    return PathFigures(gone=await call.watch_until_gone(closed, MOST_UNTIL_GONE))


async def _sleep(call: TroubledCall) -> PathFigures:
    await call.begin()
    asleep = call.mark("the laptop falls asleep")
    with call.wire.ends[RECEIVER].asleep():
        return PathFigures(gone=await call.watch_until_gone(asleep, MOST_UNTIL_GONE))


async def _cable(call: TroubledCall) -> PathFigures:
    await call.begin()
    cut = call.mark("the cable is pulled")
    await call.set_link(_CUT)
    return PathFigures(gone=await call.watch_until_gone(cut, MOST_UNTIL_GONE))


async def _kill(call: TroubledCall) -> PathFigures:
    await call.begin()
    killed = call.mark("the browser is killed")
    call.wire.ends[RECEIVER].kill()
    return PathFigures(gone=await call.watch_until_gone(killed, MOST_UNTIL_GONE))


_CABLE: Final = PathRow("cable", "cable pulled", "the cable is pulled for good", _cable, PathAims(gone=10.0))
_KILLED: Final = PathRow("kill", "browser killed", "the browser is killed", _kill, PathAims(gone=1.0))

ROWS: Final[Sequence[PathRow]] = (
    PathRow("no-udp", "no UDP", "the receiver has no UDP at all", _no_udp, PathAims(picture=3.0), True),
    PathRow("blocked", "UDP blocked", "UDP is blocked for 30 s", _blocked, PathAims(picture=5.0, udp=10.0), True),
    PathRow("address", "address", "the receiver's address changes", _address, PathAims(picture=1.5), True),
    PathRow("at-once", "at once", "its address changes at once", _at_once, PathAims(picture=1.5), True),
    PathRow("ipv6", "IPv6", "its address changes, IPv6", _address, PathAims(picture=1.5), is_ipv6=True),
    PathRow("gap", "8 s nothing", "nothing passes for 8 s", _gap, PathAims(picture=1.0), True),
    _CABLE,
    _KILLED,
)
#: Ways to be gone for good, for ``make bench-truth``.
LEAVES: Final[Sequence[PathRow]] = (
    PathRow("closed", "tab closed", "the tab is closed", _close, PathAims(gone=1.0)),
    _KILLED,
    _CABLE,
    PathRow("asleep", "laptop asleep", "the laptop falls asleep", _sleep, PathAims(gone=10.0)),
)
