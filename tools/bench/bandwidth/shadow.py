"""The row that compares the gateway's estimate of a receiver's bandwidth with the rate that the switch lets pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import trio

from tools.bench.bandwidth.call import Moment, NarrowCall
from tools.bench.bandwidth.figures import Figures, ShadowPoint
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.wire import RECEIVER

#: Seconds and bit/s of each part of the run.
RATES: Final = ((15.0, 3_000_000), (20.0, 800_000), (20.0, 300_000), (25.0, 1_500_000), (20.0, 3_000_000))
QUEUE: Final = 0.3
_LOOK_SECONDS: Final = 0.5
#: Seconds that the estimate has to follow a change.
_SETTLING_SECONDS: Final = 5.0
#: The estimate may be above the rate by this factor: the gateway does not count the headers of IP and UDP.
_TOLERANCE: Final = 1.05


async def play_shadow(call: NarrowCall) -> Figures:
    """Change the rate of the receiver's link again and again, and look at the estimate."""
    await call.change(RECEIVER, "to", Conditions(rate=RATES[0][1], queue=QUEUE))
    await call.begin()
    begun = Moment.now()
    looks: list[tuple[float, float, float, float | None]] = []
    for seconds, rate in RATES:
        changed = await call.change(RECEIVER, "to", Conditions(rate=rate, queue=QUEUE))
        call.say(f"on {rate / 1e3:.0f} kbit/s")
        while (now := Moment.now()).wall < changed.wall + seconds * call.lasts:
            looks.append((now.wall, now.wall - changed.wall, rate, await _estimate(call)))
            await trio.sleep(_LOOK_SECONDS)
    seen = await call.samples(call.receiver)
    call.shadow = [
        ShadowPoint(at - begun.wall, since, rate, estimate, seen.rate("received", at - 1, at))
        for at, since, rate, estimate in looks
    ]
    return judge(call.shadow)


async def _estimate(call: NarrowCall) -> float | None:
    stats = await call.receiver.evaluate("__room.gatewayStats()")
    transports = [one for one in stats["transports"] if one["direction"] == "receive"]
    return next((one.get("availableBitrate") for one in transports), None)


def judge(points: Sequence[ShadowPoint]) -> Figures:
    """How close the estimate was, from some seconds after each change on."""
    settled = [one for one in points if one.since_change >= _SETTLING_SECONDS]
    known = [one for one in settled if one.estimate is not None]
    if not known:
        return {"estimate": 0.0, "over": 0.0, "worst": math.inf}
    shares = [one.estimate / one.rate for one in known if one.estimate is not None]
    return {
        "estimate": sum(shares) / len(shares),
        "over": sum(share > _TOLERANCE for share in shares) / len(shares),
        "worst": max(shares),
    }
