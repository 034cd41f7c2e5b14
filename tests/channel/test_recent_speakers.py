"""Whose cameras come first: who speaks or has just spoken, and the gateway's way from a voice to a camera."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import sfu
from gateway.channel.recent_speakers import HOLD, MOST_SPEAKERS, RecentSpeakers
from gateway.channel.speakers import INTERVAL
from tests.channel.test_speakers import Voices
from tests.session.memory_gateway import Rig, camera, microphone, open_rig, send_transport

CROWD = [f"u{number}" for number in range(MOST_SPEAKERS + 1)]


def test_a_speaker_keeps_the_place_for_some_seconds_of_silence() -> None:
    recent = RecentSpeakers()
    recent.update(["ada"], 0)
    recent.update(["ada"], 10)
    assert recent.update([], 10 + HOLD - 0.1) == []
    assert list(recent.user_ids) == ["ada"]
    assert recent.update([], 10 + HOLD) == ["ada"]
    assert list(recent.user_ids) == []


def test_only_so_many_come_first_and_the_loudest_of_the_newcomers_do() -> None:
    recent = RecentSpeakers()
    recent.update(CROWD, 0)
    assert set(recent.user_ids) == set(CROWD[:MOST_SPEAKERS])


def test_a_newcomer_takes_nobodys_place_and_waits_for_a_free_one() -> None:
    recent = RecentSpeakers()
    recent.update(CROWD[:-1], 0)
    others = CROWD[1:-1]
    recent.update([CROWD[-1], *others], HOLD - 0.1)
    assert CROWD[-1] not in recent.user_ids
    assert recent.update([CROWD[-1], *others], HOLD) == [CROWD[0]]
    assert set(recent.user_ids) == set(CROWD[1:])


@settings(derandomize=True, max_examples=100)
@given(st.lists(st.lists(st.sampled_from(CROWD), unique=True), max_size=40))
def test_no_flicker_of_voices_changes_a_place_within_the_hold(voices: list[list[str]]) -> None:
    recent, since = RecentSpeakers(), dict[str, float]()
    for number, loud in enumerate(voices):
        now = number * INTERVAL
        for user in recent.update(loud, now):
            assert now - since.pop(user) >= HOLD
        for user in recent.user_ids:
            since.setdefault(user, now)
        assert len(recent.user_ids) <= MOST_SPEAKERS


def preferred(rig: Rig) -> set[str]:
    return {producer.id for producer in rig.router.directory.producers.values() if producer.speaking}


async def test_the_cameras_of_a_speaker_come_first_until_some_seconds_after_the_last_word(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = Voices(monkeypatch)
    async with open_rig(ping_interval=1000) as rig:
        rig.nursery.start_soon(rig.gateway.run)
        ada, ben = await rig.joined("ada", "ben")
        sending, other = await send_transport(ada), await send_transport(ben)
        await camera(ben, other)
        voice, picture = await microphone(ada, sending), await camera(ada, sending)
        await camera(ada, sending, ssrc=3001, source="screen")
        voices.levels = {voice: 0.5}
        # Between two looks, so that none of them is due at the same moment.
        await trio.sleep(2.5 * INTERVAL)
        assert preferred(rig) == {picture}
        another = await camera(ada, sending, ssrc=4001)
        await trio.sleep(INTERVAL)
        assert preferred(rig) == {picture, another}, "a camera that begins during the speech"
        voices.levels = {}
        await trio.sleep(HOLD)
        assert preferred(rig) == {picture, another}
        await trio.sleep(HOLD + 3)
        assert preferred(rig) == set()


async def test_speakers_without_a_camera_take_no_place(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = Voices(monkeypatch)
    async with open_rig(ping_interval=1000) as rig:
        rig.nursery.start_soon(rig.gateway.run)
        *heard, ada = await rig.joined(*CROWD)
        voices.levels = {await microphone(one, await send_transport(one)): 0.9 for one in heard}
        await trio.sleep(2 * INTERVAL)
        sending = await send_transport(ada)
        voices.levels[await microphone(ada, sending)] = 0.5
        picture = await camera(ada, sending)
        await trio.sleep(2 * INTERVAL)
        assert preferred(rig) == {picture}


async def test_a_bug_in_preferring_a_camera_ends_only_that_session(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(producer: sfu.Producer, speaking: bool) -> None:
        raise RuntimeError("a bug")

    voices = Voices(monkeypatch)
    async with open_rig() as rig:
        rig.nursery.start_soon(rig.gateway.run)
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        voices.levels = {await microphone(ada, sending): 0.5}
        await camera(ada, sending)
        monkeypatch.setattr(sfu.Producer, "set_speaking", fail)
        assert await ada.wait_closed() == 4500
        await ben.take_all()
        assert ben.closed is None
