"""The loudest voices: who is heard in a channel with more voices than it forwards."""

from collections.abc import Sequence

import pytest
import trio
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import sfu
from gateway.channel.voices import INTERVAL, OVERTAKING_FACTOR, VOICE_BEGINS, LoudestVoices
from tests.session.example_media import opus
from tests.session.memory_gateway import RawClient, Rig, microphone, open_rig, send_transport

LEVEL = {"uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "id": 1}
VOICE = opus() | {"headerExtensions": [LEVEL]}

levels = st.dictionaries(st.integers(0, 8).map(str), st.floats(0, 1), max_size=9)


def test_a_channel_with_few_voices_hears_all_of_them() -> None:
    assert LoudestVoices(3).choose({"ada": 0, "ben": 0.5, "cleo": 0}) == {"ada", "ben", "cleo"}


def test_a_voice_that_begins_takes_the_place_of_a_silent_one_at_once() -> None:
    voices = LoudestVoices(2)
    voices.choose({"ada": 0.1, "ben": 0.05, "cleo": 0})
    for _ in range(30):
        assert voices.choose({"ada": 0.1, "ben": 0, "cleo": 0}) == {"ada", "ben"}
    assert voices.choose({"ada": 0.1, "ben": 0, "cleo": VOICE_BEGINS}) == {"ada", "cleo"}


def test_noise_takes_nobodys_place() -> None:
    voices = LoudestVoices(1)
    voices.choose({"ada": 0.1, "ben": 0})
    for _ in range(100):
        assert voices.choose({"ada": 0, "ben": VOICE_BEGINS * 0.9}) == {"ada"}


def test_a_speaker_keeps_the_place_in_the_pause_between_two_words() -> None:
    voices = LoudestVoices(1)
    voices.choose({"ada": 0.1, "ben": 0})
    for _ in range(3):
        assert voices.choose({"ada": 0, "ben": 0.05}) == {"ada"}
    assert any(voices.choose({"ada": 0, "ben": 0.05}) == {"ben"} for _ in range(5))


def test_two_equally_loud_voices_do_not_swap() -> None:
    voices = LoudestVoices(1)
    voices.choose({"ada": 0.1, "ben": 0})
    for number in range(50):
        assert voices.choose({"ada": 0.1, "ben": 0.1 + 0.04 * (number % 2)}) == {"ada"}


def test_the_place_of_a_voice_that_left_goes_to_the_loudest_that_waits() -> None:
    voices = LoudestVoices(1)
    voices.choose({"ada": 0.5, "ben": 0.1, "cleo": 0.2})
    assert voices.choose({"ben": 0.1, "cleo": 0.2}) == {"cleo"}


def test_a_paused_voice_gives_its_place_to_any_other() -> None:
    voices = LoudestVoices(1)
    voices.choose({"ada": 0.5, "ben": 0, "cleo": 0})
    assert voices.choose({"ada": 0, "ben": 0, "cleo": 0}, {"ada", "ben", "cleo"}) == {"ada"}
    assert voices.choose({"ada": 0, "ben": VOICE_BEGINS / 2, "cleo": 0}, {"ada", "cleo"}) == {"ben"}
    assert voices.choose({"ada": 0, "ben": 0, "cleo": 0}, {"ada", "cleo"}) == {"ben"}


@settings(derandomize=True, max_examples=200)
@given(st.integers(1, 5), st.lists(levels, min_size=1, max_size=8))
def test_the_choice_is_full_bounded_and_stable(limit: int, rounds: list[dict[str, float]]) -> None:
    voices = LoudestVoices(limit)
    for present in rounds:
        heard = set(voices.choose(present))
        assert len(heard) == min(limit, len(present))
        assert heard <= present.keys()
    settled = [set(voices.choose(rounds[-1])) for _ in range(60)][-1]
    assert voices.choose(rounds[-1]) == settled
    loud = {voice for voice, level in rounds[-1].items() if level >= VOICE_BEGINS} - settled
    softest = min((rounds[-1][voice] for voice in settled), default=1.0)
    assert all(rounds[-1][voice] <= OVERTAKING_FACTOR * softest + 1e-9 for voice in loud)


# In a gateway.


@define
class Microphones:
    """Speaks with 50 packets a second, at the present amplitude of each producer."""

    amplitude: dict[str, float] = field(factory=dict)
    totals: dict[str, tuple[int, float]] = field(factory=dict)

    def read(self, producers: Sequence[sfu.Producer]) -> list[tuple[int, float]]:
        packets = round(50 * trio.current_time())
        for one in producers:
            before, amplitude = self.totals.get(one.id, (0, 0.0))
            fresh = (packets - before) * self.amplitude.get(one.id, 0.0)
            self.totals[one.id] = packets, amplitude + fresh
        return [self.totals[one.id] for one in producers]


@pytest.fixture
def microphones(monkeypatch: pytest.MonkeyPatch) -> Microphones:
    made = Microphones()
    monkeypatch.setattr(sfu, "read_voices", made.read)
    return made


async def talkers(rig: Rig, *users: str) -> tuple[list[RawClient], list[str]]:
    """Let these users join, each with a microphone.  Returns the clients and the producers."""
    rig.nursery.start_soon(rig.gateway.run)
    clients = await rig.joined(*users)
    made = [await microphone(client, await send_transport(client), rtpParameters=VOICE) for client in clients]
    for client in clients:
        await client.take_all()
    return clients, made


def heard(rig: Rig) -> set[str]:
    return {producer.id for producer in rig.router.directory.producers.values() if not producer.muted}


async def test_only_the_loudest_voices_are_forwarded(autojump_clock: MockClock, microphones: Microphones) -> None:
    async with open_rig(max_voices=2) as rig:
        clients, (ada, ben, cleo) = await talkers(rig, "ada", "ben", "cleo")
        microphones.amplitude = {ada: 0.5, ben: 0.1}
        await trio.sleep(1)
        assert heard(rig) == {ada, ben}
        microphones.amplitude = {ada: 0.5, cleo: 0.2}
        await trio.sleep(1)
        assert heard(rig) == {ada, cleo}
        for client in clients:
            assert await client.take_all() == []
        listed = rig.gateway.channels.channels["lobby"].snapshot()
        assert [one.producers[0].paused for one in listed] == [False] * 3


async def test_a_voice_that_begins_is_heard_within_one_interval(
    autojump_clock: MockClock, microphones: Microphones
) -> None:
    async with open_rig(max_voices=1) as rig:
        _, (ada, ben) = await talkers(rig, "ada", "ben")
        microphones.amplitude = {ada: 0.5}
        await trio.sleep(1)
        microphones.amplitude = {}
        await trio.sleep(2)
        assert heard(rig) == {ada}
        microphones.amplitude = {ben: 0.1}
        await trio.sleep(INTERVAL + 0.001)
        assert heard(rig) == {ben}


async def test_somebody_who_speaks_softly_is_heard_while_the_others_are_paused(
    autojump_clock: MockClock, microphones: Microphones
) -> None:
    async with open_rig(max_voices=2) as rig:
        clients, (ada, ben, cleo) = await talkers(rig, "ada", "ben", "cleo")
        microphones.amplitude = {ada: 0.5, ben: 0.1, cleo: VOICE_BEGINS / 2}
        await trio.sleep(1)
        assert heard(rig) == {ada, ben}
        await clients[1].ok("pause", producerId=ben)
        await trio.sleep(INTERVAL + 0.001)
        assert heard(rig) == {ada, cleo}
        await clients[2].ok("pause", producerId=cleo)
        await clients[1].ok("resume", producerId=ben)
        await trio.sleep(INTERVAL + 0.001)
        assert heard(rig) == {ada, ben}


async def test_everybody_is_heard_again_when_few_are_left(autojump_clock: MockClock, microphones: Microphones) -> None:
    async with open_rig(max_voices=1) as rig:
        (first, _), (ada, ben) = await talkers(rig, "ada", "ben")
        microphones.amplitude = {ada: 0.5}
        await trio.sleep(1)
        assert heard(rig) == {ada}
        await first.close()
        await trio.sleep(2 * INTERVAL)
        assert heard(rig) == {ben}


async def test_what_cannot_be_compared_is_always_heard(autojump_clock: MockClock, microphones: Microphones) -> None:
    async with open_rig(max_voices=1) as rig:
        _, (ada, _) = await talkers(rig, "ada", "ben")
        (cleo,) = await rig.joined("cleo")
        sending = await send_transport(cleo)
        without_levels = await microphone(cleo, sending)
        with_levels = opus(1002) | {"headerExtensions": [LEVEL]}
        screen = await microphone(cleo, sending, source="screen_audio", rtpParameters=with_levels)
        microphones.amplitude = {ada: 0.5}
        await trio.sleep(1)
        assert heard(rig) == {ada, without_levels, screen}


async def test_all_microphones_of_a_member_take_one_place(autojump_clock: MockClock, microphones: Microphones) -> None:
    async with open_rig(max_voices=2) as rig:
        _, (ada, ben, cleo) = await talkers(rig, "ada", "ben", "cleo")
        (mallory,) = await rig.joined("mallory")
        sending = await send_transport(mallory)
        many = [
            await microphone(mallory, sending, ssrc, rtpParameters=opus(ssrc) | {"headerExtensions": [LEVEL]})
            for ssrc in range(2001, 2017)
        ]
        microphones.amplitude = dict.fromkeys(many, 1.0) | {ada: 0.2, ben: 0.1, cleo: 0.05}
        await trio.sleep(1)
        assert heard(rig) == {ada, *many}


async def test_without_the_setting_every_voice_is_forwarded(
    autojump_clock: MockClock, microphones: Microphones
) -> None:
    async with open_rig() as rig:
        _, made = await talkers(rig, "ada", "ben", "cleo")
        microphones.amplitude = {made[0]: 0.5}
        await trio.sleep(1)
        assert heard(rig) == set(made)


async def test_a_bug_in_muting_one_voice_ends_only_that_session(
    autojump_clock: MockClock, microphones: Microphones, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(producer: sfu.Producer, muted: bool) -> None:
        if muted:
            raise RuntimeError("a bug")

    async with open_rig(max_voices=1) as rig:
        (first, second), (ada, _) = await talkers(rig, "ada", "ben")
        monkeypatch.setattr(sfu.Producer, "set_muted", fail)
        microphones.amplitude = {ada: 0.5}
        assert await second.wait_closed() == 4500
        assert first.closed is None
