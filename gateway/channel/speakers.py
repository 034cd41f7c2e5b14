"""Detection of active speakers. One task of the gateway measures every channel twice a second."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Never

import structlog
import trio

import sfu
from gateway.channel.channel import Channel
from gateway.channel.member import Member
from protocol.events import ActiveSpeakers

INTERVAL: Final = 0.5
# Linear amplitudes, with 1 the loudest. A voice starts to count at -34 dBov and stops to count below -42 dBov (RFC 6464
# section 3).
SPEAKING_STARTS: Final = 0.02
SPEAKING_STOPS: Final = 0.008
# The weight of the past in a member's loudness: each interval halves it.
LOUDNESS_MEMORY: Final = 0.5
# A speaker overtakes another only at this multiple of its loudness. Otherwise two equals would swap all the time.
OVERTAKING_FACTOR: Final = 1.5
MAX_SPEAKERS: Final = 16

log = structlog.get_logger(__name__)


async def watch_speakers(channels: Callable[[], Iterable[Channel]]) -> Never:
    """Broadcast ``active_speakers`` in each channel whenever its speakers change, and let their cameras get bandwidth
    first. Runs as long as the gateway."""
    while True:
        await trio.sleep(INTERVAL)
        await _update_all(list(channels()))


async def _update_all(channels: Iterable[Channel]) -> None:
    """Update every channel. This is a function of its own, so that no variable keeps a closed channel alive."""
    for channel in channels:
        try:
            update_speakers(channel)
            prefer_speakers(channel, trio.current_time())
        except Exception:
            log.exception("cannot update the speakers of a channel", channel=channel.id)
        await trio.lowlevel.checkpoint()


def update_speakers(channel: Channel) -> None:
    """Measure the voices of one channel since the last call, and broadcast its speakers if they changed."""
    loudness = {user_id: _update_loudness(member) for user_id, member in channel.members.items()}
    speakers = rank(channel.speakers, loudness)
    if speakers != channel.speakers:
        channel.speakers = speakers
        channel.broadcast(ActiveSpeakers(speakers))


def prefer_speakers(channel: Channel, now: float) -> None:
    """Let the cameras of those who speak, or have just spoken, get bandwidth before others.

    A camera hears only of a change, and then asks those of its receivers whose path is short of room. Nobody looks at
    all pairs of members.
    """
    cameras = {user_id: _cameras(channel.members.get(user_id)) for user_id in channel.speakers}
    recent = channel.recent_speakers
    ended = recent.update((user_id for user_id, found in cameras.items() if found), now)
    for user_id in [*ended, *recent.user_ids]:
        for camera in _cameras(channel.members.get(user_id)):
            camera.guard(camera.set_speaking, user_id in recent.user_ids)


def _cameras(member: Member | None) -> list[sfu.Producer]:
    found = [] if member is None else [one.producer for one in member.publications.values() if one.source == "camera"]
    return [producer for producer in found if producer.kind == "video" and not producer.closed]


def _update_loudness(member: Member) -> float:
    level = 0.0
    try:
        for publication in member.publications.values():
            producer = publication.producer
            if producer.kind == "audio" and publication.source != "screen_audio" and not producer.closed:
                level = max(level, producer.take_voice_level())
    except Exception as error:
        member.connection.fail(error)
    member.loudness = LOUDNESS_MEMORY * member.loudness + (1 - LOUDNESS_MEMORY) * level
    return member.loudness


def rank(before: tuple[str, ...], loudness: Mapping[str, float]) -> tuple[str, ...]:
    """The user ids of the present speakers, loudest first, given the former ones and everybody's loudness."""
    ranked = [user_id for user_id in before if loudness.get(user_id, 0.0) >= SPEAKING_STOPS]
    new = [user_id for user_id, level in loudness.items() if level >= SPEAKING_STARTS and user_id not in ranked]
    ranked += sorted(new, key=lambda user_id: -loudness[user_id])
    # Insertion sort from the former order. A speaker moves up only past one that is clearly softer, so the order is
    # stable while loudness varies a little.
    for start in range(1, len(ranked)):
        place = start
        while place and loudness[ranked[place]] > OVERTAKING_FACTOR * loudness[ranked[place - 1]]:
            ranked[place - 1 : place + 1] = ranked[place], ranked[place - 1]
            place -= 1
    return tuple(ranked[:MAX_SPEAKERS])
