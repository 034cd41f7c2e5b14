"""The rows of the table: which link changes when, what is measured then, and what our gateway should reach."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from attrs import field, frozen

from tools.bench.bandwidth.call import CAMERA, Moment, NarrowCall, Readings
from tools.bench.bandwidth.figures import Figures
from tools.bench.bandwidth.meetings import play_grid, play_meeting
from tools.bench.bandwidth.samples import Samples, frames_of, is_wide, sends
from tools.bench.bandwidth.shadow import play_shadow
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.switch import Way
from tools.bench.calls.wire import RECEIVER, SENDER
from tools.bench.figures import percentile

LIMITED_SECONDS: Final = 25.0
LIFTED_SECONDS: Final = 30.0
START_SECONDS: Final = 30.0
#: Seconds within which a camera that nobody looks at must have become cheap.
UNWATCHED_SECONDS: Final = 6.0
#: Seconds before the limit in which the sender's encoder must have kept up with the camera.
ENCODED_SECONDS: Final = 5.0
#: Seconds within which a call must get used to a lower rate.
SETTLING_SECONDS: Final = 3.0
#: The width of the camera's picture in pixels.
FULL_WIDTH: Final = 640
#: Frames a second of a picture that moves, and of one that stands no more.
_MOVES, _STANDS = 15.0, 5.0
_PERFECT: Final = Conditions()
_NARROW: Final = Conditions(rate=300_000, queue=0.2)
#: The queue is longer than the aim for the wait in it.
_WIDE: Final = Conditions(rate=3_000_000, queue=1.0)
_HALF: Final = Conditions(rate=800_000, queue=1.0)


@frozen
class BandwidthRow:
    """A change of the rate.  ``label`` is a short title for plots.

    ``play`` carries it out in a call that has not begun.  ``aims`` are limits for our gateway, by the names of the
    figures.  ``pages`` is the number of browsers: the sender's, the receiver's, and one of a third person, who
    receives, too.  ``only_ours`` says that no other server can play the row.
    """

    name: str
    label: str
    title: str
    play: Callable[[NarrowCall], Awaitable[Figures]]
    aims: Mapping[str, float] = field(factory=dict)
    pages: int = 2
    only_ours: bool = False


async def _limit(call: NarrowCall, end: int, way: Way) -> Figures:
    """Limit a link for a while, lift it, and see what the receiver has at each time."""
    await call.begin()
    before = await call.read()
    limited = await call.change(end, way, _NARROW)
    lifted = await call.watch(LIMITED_SECONDS, "on 300 kbit/s")
    after = await call.read()
    await call.change(end, way, _PERFECT)
    until = await call.watch(LIFTED_SECONDS, "everything passes again")
    seen = await call.samples(call.receiver)
    figures = await _while_limited(call, before, after, limited, lifted, seen)
    return figures | {"large": seen.good_for_good(is_wide(FULL_WIDTH, _STANDS), lifted.wall, until.wall)}


async def _while_limited(
    call: NarrowCall, before: Readings, after: Readings, limited: Moment, until: Moment, seen: Samples
) -> dict[str, float]:
    found, settled = before.until(after), limited.wall + SETTLING_SECONDS * call.lasts
    sent = await call.samples(call.sender)
    return {
        "frames": seen.frames(settled, until.wall),
        "smooth": seen.first_second(frames_of(_MOVES), limited.wall, until.wall),
        "width": seen.width(settled, until.wall),
        "frozen": found.frozen,
        "concealed": found.concealed,
        "encoded": sent.encoded(limited.wall - ENCODED_SECONDS, limited.wall),
        "received": seen.rate("received", settled, until.wall),
        "sent": sent.rate("sent", settled, until.wall),
    }


async def _step(call: NarrowCall) -> Figures:
    await call.change(RECEIVER, "to", _WIDE)
    await call.begin()
    before = await call.read()
    await call.wire.waits(RECEIVER, "to")
    limited = await call.change(RECEIVER, "to", _HALF)
    until = await call.watch(LIMITED_SECONDS, "on 800 kbit/s")
    after, waits = await call.read(), await call.wire.waits(RECEIVER, "to")
    settled = limited.monotonic + SETTLING_SECONDS * call.lasts
    late = [wait for at, wait in waits if at >= settled]
    figures = await _while_limited(call, before, after, limited, until, await call.samples(call.receiver))
    return figures | {"queue": max(late, default=0.0), "queue95": percentile(late, 0.95) if late else 0.0}


async def _start(call: NarrowCall) -> Figures:
    await call.join_all()
    until = await call.watch(START_SECONDS, "the call starts")
    sent, seen = await call.samples(call.sender), await call.samples(call.receiver)
    begun = next((one.at for one in sent.samples if one.total_bytes("sent")), until.wall)
    settled = begun + SETTLING_SECONDS * call.lasts
    return {
        "frames": seen.frames(settled, until.wall),
        "width": seen.width(settled, until.wall),
        "received": seen.rate("received", settled, until.wall),
        "sent": sent.rate("sent", settled, until.wall),
        "large": seen.good_for_good(is_wide(FULL_WIDTH, _STANDS), begun, until.wall),
        "started": sent.first_second(sends(0.8 * CAMERA.rate), begun, until.wall),
    }


async def _others(call: NarrowCall) -> Figures:
    """Limit one receiver, and see what another one has."""
    await call.begin()
    begun = Moment.now()
    usual = (await call.samples(call.third)).width(begun.wall - 2, begun.wall)
    before = await call.read()
    limited = await call.change(RECEIVER, "to", _NARROW)
    until = await call.watch(LIMITED_SECONDS, "one of three on 300 kbit/s")
    after = await call.read()
    seen, third = await call.samples(call.receiver), await call.samples(call.third)
    figures = await _while_limited(call, before, after, limited, until, seen)
    return figures | {
        "other_frames": third.frames(limited.wall, until.wall),
        "other_frozen": before.until_for_third(after).frozen,
        "other_narrow": third.narrower(usual, limited.wall, until.wall),
    }


async def _unwatched(call: NarrowCall) -> Figures:
    """A camera that nobody receives."""
    await call.join(call.sender, call.server.sender)
    begun = Moment.now()
    until = await call.watch(2 * UNWATCHED_SECONDS, "nobody looks")
    settled = begun.wall + UNWATCHED_SECONDS * call.lasts
    return {"sent": (await call.samples(call.sender)).rate("sent", settled, until.wall)}


ROWS: Final[Sequence[BandwidthRow]] = (
    BandwidthRow(
        "down",
        "300 kbit/s down",
        "receiver on 300 kbit/s for 25 s, then lifted",
        partial(_limit, end=RECEIVER, way="to"),
        {"frames": 15, "smooth": 3, "frozen": 1, "concealed": 0.01, "large": 5},
    ),
    BandwidthRow(
        "up",
        "300 kbit/s up",
        "sender on 300 kbit/s for 25 s, then lifted",
        partial(_limit, end=SENDER, way="from"),
        {"frames": 17, "frozen": 1.5, "large": 8},
    ),
    BandwidthRow("start", "clean start", "clean start", _start, {"started": 5}),
    BandwidthRow("step", "3 → 0.8 Mbit/s", "receiver from 3 Mbit/s to 800 kbit/s", _step, {"queue": 0.2}),
    BandwidthRow(
        "others",
        "one of three",
        "one of two receivers on 300 kbit/s",
        _others,
        {"other_frames": 19, "other_frozen": 0.1, "other_narrow": 0},
        pages=3,
    ),
    BandwidthRow("unwatched", "nobody looks", "a camera that nobody looks at", _unwatched, {"sent": 20_000}, pages=1),
    BandwidthRow(
        "meeting",
        "one of ten",
        "ten people, of whom one is on 500 kbit/s",
        play_meeting,
        {
            "frames": 15,
            "concealed": 0.01,
            "heard": 9,
            "sound_lost": 0.01,
            "other_frames": 19,
            "other_frozen": 0.1,
            "light_rate": 0.95,
            "light_lost": 0,
        },
        only_ours=True,
    ),
    BandwidthRow("grid", "25 tiles", "a grid of 25 small tiles", play_grid, {"grid_share": 1 / 3}, 0, only_ours=True),
    BandwidthRow("shadow", "shadow", "estimate and truth", play_shadow, {"estimate": 0.7, "over": 0.1}, only_ours=True),
)
