"""The loudest voices of a large channel. With the setting ``max_voices``, the gateway forwards only so many.

One task of the gateway looks ten times a second. It is separate from the detection of active speakers, which looks
twice a second: a voice that begins must be heard before its first syllable is over.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Never

import structlog
import trio
from attrs import define, field

import sfu
from gateway.channel.channel import Channel
from gateway.channel.member import Member

INTERVAL: Final = 0.1
# The weight of the past in the loudness of a voice that becomes softer. After a second of silence a tenth is left, so a
# speaker keeps the place during the pauses between words.
LOUDNESS_MEMORY: Final = 0.8
# The linear amplitude from which a voice may take a place: -42 dBov (RFC 6464 section 3). Background noise is softer.
VOICE_BEGINS: Final = 0.008
# A voice takes another one's place only at this multiple of its loudness. Otherwise two equals would swap all the time.
OVERTAKING_FACTOR: Final = 1.5

Voices = Mapping[str, list[sfu.Producer]]
"""The microphones of each member that has one, by user id."""

log = structlog.get_logger(__name__)


@define
class LoudestVoices:
    """Chooses at most ``limit`` voices, by the ids of their users. ``heard`` are the chosen ones.

    A chosen voice keeps its place, also in silence, until a louder voice needs it. A paused voice gives its place to
    any other one, however soft: in a large channel most people are paused.
    """

    limit: int
    heard: set[str] = field(factory=set)
    _loudness: dict[str, float] = field(factory=dict)
    _paused: Collection[str] = frozenset()

    def choose(self, levels: Mapping[str, float], paused: Collection[str] = frozenset()) -> set[str]:
        """Choose again, given the linear amplitude (0 to 1) of each present voice since the last call, and those that
        are paused."""
        before, self._paused = self._loudness, paused
        self._loudness = {voice: max(level, LOUDNESS_MEMORY * before.get(voice, 0)) for voice, level in levels.items()}
        self.heard &= self._loudness.keys()
        waiting = sorted(self._loudness.keys() - self.heard, key=self._rank, reverse=True)
        places = max(0, self.limit - len(self.heard))
        self.heard.update(waiting[:places])
        self._overtake(waiting[places:])
        return self.heard

    def _overtake(self, waiting: list[str]) -> None:
        """Let waiting voices, the loudest first, take the places of the softest."""
        softest = sorted(self.heard, key=self._rank)
        for louder, softer in zip(waiting, softest, strict=False):
            if not self._may_overtake(louder, softer):
                return
            self.heard.remove(softer)
            self.heard.add(louder)

    def _may_overtake(self, louder: str, softer: str) -> bool:
        if louder in self._paused or softer in self._paused:
            return louder not in self._paused
        loudness = self._loudness[louder]
        return loudness >= VOICE_BEGINS and loudness > OVERTAKING_FACTOR * self._loudness[softer]

    def _rank(self, voice: str) -> tuple[bool, float, str]:
        # The id makes the order of equals the same in every run.
        return voice not in self._paused, self._loudness[voice], voice


@define
class VoiceGate:
    """Mutes the voices of one channel that are not among its ``limit`` loudest.

    All microphones of a member are one voice. Otherwise a client with many of them could take all places.

    ``choice`` exists only while the channel has more voices than that.
    """

    limit: int
    choice: LoudestVoices | None = None
    # The packets with a level and the sum of their amplitudes at the last look, by producer.
    _read: dict[str, tuple[int, float]] = field(factory=dict)

    def update(self, channel: Channel) -> None:
        """Measure the voices since the last call, choose the loudest, and mute the others."""
        voices = {user_id: found for user_id, member in channel.members.items() if (found := _microphones(member))}
        if len(voices) <= self.limit:
            if self.choice is not None:
                self.choice, self._read = None, {}
                _mute_all_but(voices.keys(), voices)
            return
        levels = self._measure(voices)
        if self.choice is None:
            # The first look only gives the totals. Nobody is muted before it is known who speaks.
            self.choice = LoudestVoices(self.limit)
        else:
            paused = {user_id for user_id, found in voices.items() if all(one.paused for one in found)}
            _mute_all_but(self.choice.choose(levels, paused), voices)

    def _measure(self, voices: Voices) -> dict[str, float]:
        """The mean amplitude of each voice's packets since the last look, 0 without a packet."""
        producers = [producer for found in voices.values() for producer in found]
        before, totals = self._read, sfu.read_voices(producers)
        self._read = {producer.id: total for producer, total in zip(producers, totals, strict=True)}
        level = {id_: _mean(total, before.get(id_, total)) for id_, total in self._read.items()}
        return {user_id: max(level[producer.id] for producer in found) for user_id, found in voices.items()}


def _mean(total: tuple[int, float], before: tuple[int, float]) -> float:
    packets = total[0] - before[0]
    return (total[1] - before[1]) / packets if packets > 0 else 0.0


def _microphones(member: Member) -> list[sfu.Producer]:
    """The streams of a member's voice. A stream that does not say how loud it is cannot be compared. It is always
    heard."""
    found = [one.producer for one in member.publications.values() if one.source != "screen_audio"]
    return [one for one in found if one.kind == "audio" and one.tells_level and not one.closed]


def _mute_all_but(heard: Collection[str], voices: Voices) -> None:
    # First mute, so that never more voices are forwarded than the limit says.
    for user_id in sorted(voices, key=heard.__contains__):
        for producer in voices[user_id]:
            producer.guard(producer.set_muted, user_id not in heard)


async def watch_voices(channels: Callable[[], Iterable[Channel]], limit: int) -> Never:
    """Keep all but the ``limit`` loudest voices of each channel muted. Runs as long as the gateway."""
    gates: dict[int, VoiceGate] = {}
    while True:
        await trio.sleep(INTERVAL)
        gates = await _update_all(list(channels()), gates, limit)


async def _update_all(channels: Iterable[Channel], gates: dict[int, VoiceGate], limit: int) -> dict[int, VoiceGate]:
    """Update every channel. This is a function of its own, so that no variable keeps a closed channel alive.

    ``gates`` has the gate of each channel by its epoch. Returns those of the channels that are still open.
    """
    kept = {}
    for channel in channels:
        gate = kept[channel.epoch] = gates.get(channel.epoch) or VoiceGate(limit)
        try:
            gate.update(channel)
        except Exception:
            log.exception("cannot choose the loudest voices of a channel", channel=channel.id)
        await trio.lowlevel.checkpoint()
    return kept
