"""Rows with many people: a meeting of ten of which one has little bandwidth, and a grid of small tiles.

Light clients that send recorded simulcast are the many, so only our gateway plays these rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import trio
from attrs import frozen

from tools.bench.bandwidth.call import NarrowCall
from tools.bench.bandwidth.figures import Figures
from tools.bench.bandwidth.people import Meeting, open_meeting
from tools.bench.calls.browsers import BrowserPage
from tools.bench.calls.conditions import Conditions
from tools.bench.calls.gateway_server import CHANNEL
from tools.bench.calls.pages import until_media
from tools.bench.calls.wire import RECEIVER
from tools.loadtest.plan import websocket_url

#: Light clients beside the two browsers of a meeting of ten.
LIGHT: Final = 8
TILES: Final = 25
_NARROW: Final = Conditions(rate=500_000, queue=0.2)
#: The encoding that light clients ask for in a meeting: the middle one of three.
_MIDDLE: Final = 1
_SMALLEST, _LARGEST = 0, 2
_SETTLED_SECONDS: Final = 5.0
_MEASURED_SECONDS: Final = 20.0

Entry = Mapping[str, Any]


@frozen
class Seen:
    """What a page received from everybody up to one moment: the statistics that our page labels with people."""

    entries: Sequence[Entry]

    @classmethod
    async def read(cls, page: BrowserPage) -> Seen:
        return cls((await page.evaluate("__room.stats()"))["inbound"])

    def since(self, before: Seen, kind: str, name: str, user_id: str | None = None) -> list[float]:
        """How much a counter of each stream of one kind has risen, for all people or for one."""
        earlier = {entry["id"]: entry for entry in before.entries}
        return [
            float(entry.get(name, 0)) - float(earlier.get(entry["id"], {}).get(name, 0))
            for entry in self.entries
            if entry["kind"] == kind and user_id in (None, entry["userId"])
        ]


@frozen
class Counters:
    """The counters of all who take part, at one moment."""

    at: float
    first: Seen
    tenth: Seen
    light_bytes: int
    light_lost: int


async def play_meeting(call: NarrowCall) -> Figures:
    """Ada's browser and eight light clients are on good links.  The tenth, a browser, is not."""
    async with open_meeting(websocket_url(call.server.origin), CHANNEL) as meeting:
        await call.join(call.sender, call.server.sender)
        for number in range(LIGHT):
            await meeting.enter(_MIDDLE, number, LIGHT)
        await call.join(call.receiver, call.server.receiver)
        await until_media(call.receiver)
        await call.watch(call.settled, "the meeting settles")
        begun = await _counters(call, meeting)
        await call.watch(_MEASURED_SECONDS, "ten people")
        limited = await _counters(call, meeting)
        await call.change(RECEIVER, "to", _NARROW)
        await call.watch(_SETTLED_SECONDS, "the tenth on 500 kbit/s")
        settled = await _counters(call, meeting)
        await call.watch(_MEASURED_SECONDS, "the tenth on 500 kbit/s")
        ended = await _counters(call, meeting)
        speaker = await call.sender.evaluate("__room.state().self")
        return _figures(begun, limited, settled, ended, speaker)


async def _counters(call: NarrowCall, meeting: Meeting) -> Counters:
    return Counters(
        trio.current_time(),
        await Seen.read(call.sender),
        await Seen.read(call.receiver),
        sum(person.received_bytes() for person in meeting.people),
        sum(person.lost() for person in meeting.people),
    )


def _figures(begun: Counters, limited: Counters, settled: Counters, ended: Counters, speaker: str) -> Figures:
    def rate(before: Counters, after: Counters) -> float:
        return (after.light_bytes - before.light_bytes) / (after.at - before.at)

    def tenth(kind: str, name: str, user_id: str | None = None) -> float:
        return sum(ended.tenth.since(settled.tenth, kind, name, user_id))

    others = ended.first.since(limited.first, "video", "framesDecoded")
    frozen = ended.first.since(limited.first, "video", "totalFreezesDuration")
    heard = [packets for packets in ended.tenth.since(settled.tenth, "audio", "packetsReceived") if packets]
    lost, came = tenth("audio", "packetsLost"), tenth("audio", "packetsReceived")
    samples = tenth("audio", "totalSamplesReceived", speaker)
    return {
        "frames": tenth("video", "framesDecoded", speaker) / (ended.at - settled.at),
        "concealed": tenth("audio", "concealedSamples", speaker) / samples if samples else 1.0,
        "heard": len(heard),
        "sound_lost": lost / (lost + came) if came else 1.0,
        "received": 8 * tenth("video", "bytesReceived") / (ended.at - settled.at),
        "other_frames": min(others, default=0.0) / (ended.at - limited.at),
        "other_frozen": max(frozen, default=0.0),
        "light_rate": rate(limited, ended) / rate(begun, limited),
        "light_lost": ended.light_lost - limited.light_lost,
    }


async def play_grid(call: NarrowCall) -> Figures:
    """One light client receives 25 cameras, first as large as they are, then as small tiles."""
    async with open_meeting(websocket_url(call.server.origin), CHANNEL) as meeting:
        for _ in range(TILES):
            await meeting.enter(None)
        await meeting.enter(_LARGEST, sends=False)
        viewer, rates = meeting.people[-1], {}
        for layer in (_LARGEST, _SMALLEST):
            await viewer.ask_for(layer)
            await call.watch(_SETTLED_SECONDS, "a grid of 25 tiles")
            begun, before = trio.current_time(), viewer.received_bytes()
            await call.watch(_MEASURED_SECONDS / 2, "a grid of 25 tiles")
            rates[layer] = 8 * (viewer.received_bytes() - before) / (trio.current_time() - begun)
        small, large = rates[_SMALLEST], rates[_LARGEST]
        return {"received": small, "grid_large": large, "grid_share": small / large if large else 1.0}
