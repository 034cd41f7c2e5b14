"""Active speakers: the loudest first, and an event only after a change."""

from collections.abc import Mapping

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import sfu
from gateway.channel.speakers import INTERVAL, MAX_SPEAKERS, SPEAKING_STARTS, SPEAKING_STOPS, rank
from tests.session.memory_gateway import RawClient, microphone, open_rig, send_transport


def test_the_loudest_comes_first() -> None:
    assert rank((), {"ada": 0.1, "ben": 0.3, "cleo": 0.2}) == ("ben", "cleo", "ada")


def test_a_quiet_voice_does_not_count_as_speaking() -> None:
    assert rank((), {"ada": SPEAKING_STARTS * 0.9}) == ()


def test_a_speaker_counts_as_speaking_until_much_quieter() -> None:
    assert rank(("ada",), {"ada": SPEAKING_STARTS * 0.9}) == ("ada",)
    assert rank(("ada",), {"ada": SPEAKING_STOPS * 0.9}) == ()


def test_two_equally_loud_speakers_do_not_swap_places_all_the_time() -> None:
    assert rank(("ada", "ben"), {"ada": 0.1, "ben": 0.14}) == ("ada", "ben")
    assert rank(("ada", "ben"), {"ada": 0.1, "ben": 0.16}) == ("ben", "ada")


def test_a_member_that_left_does_not_speak() -> None:
    assert rank(("ada", "ben"), {"ben": 0.1}) == ("ben",)


@settings(derandomize=True, max_examples=100)
@given(
    st.dictionaries(st.integers(0, 40).map(str), st.floats(0, 1)),
    st.dictionaries(st.integers(0, 40).map(str), st.floats(0, 1)),
)
def test_the_list_of_speakers_is_stable_and_bounded_for_any_loudness(
    first: Mapping[str, float], then: Mapping[str, float]
) -> None:
    before = rank((), first)
    after = rank(before, then)
    assert len(after) == len(set(after)) <= MAX_SPEAKERS
    assert all(then[user] >= SPEAKING_STOPS for user in after)
    assert rank(after, then) == after


class Voices:
    """Sets the present loudness of each producer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.levels: dict[str, float] = {}
        monkeypatch.setattr(sfu.Producer, "take_voice_level", lambda producer: self.levels.get(producer.id, 0.0))


async def speaking(client: RawClient, source: str = "microphone") -> str:
    return await microphone(client, await send_transport(client), source=source)


async def test_every_change_of_the_speakers_is_broadcast_and_nothing_else(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    voices = Voices(monkeypatch)
    async with open_rig(ping_interval=1000) as rig:
        rig.nursery.start_soon(rig.gateway.run)
        ada, ben = await rig.joined("ada", "ben")
        first, second = await speaking(ada), await speaking(ben)
        await ada.take_all()
        voices.levels = {first: 0.2}
        assert await ada.event("active_speakers") == {"userIds": ["ada"]}
        await trio.sleep(10)
        voices.levels = {first: 0.2, second: 0.9}
        assert await ada.event("active_speakers") == {"userIds": ["ben", "ada"]}
        voices.levels = {}
        received: list[list[str]] = []
        while not received or received[-1]:
            received.append((await ada.event("active_speakers"))["userIds"])
        assert received[-1] == []
        await trio.sleep(10)
        assert await ada.take_all() == []
        assert [frame["type"] for frame in await ben.take_all()].count("active_speakers") == 2 + len(received)


async def test_a_newcomer_gets_the_present_speakers_after_its_snapshot(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = Voices(monkeypatch)
    async with open_rig() as rig:
        rig.nursery.start_soon(rig.gateway.run)
        (ada,) = await rig.joined("ada")
        voices.levels = {await speaking(ada): 0.5}
        await trio.sleep(2 * INTERVAL)
        ben = await rig.connect()
        await ben.request("join", channelId="lobby", username="ben", userId="ben")
        assert (await ben.next())["type"] == "ok"
        assert await ben.event("active_speakers") == {"userIds": ["ada"]}


async def test_the_sound_of_a_screen_does_not_count_as_a_voice(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = Voices(monkeypatch)
    async with open_rig() as rig:
        rig.nursery.start_soon(rig.gateway.run)
        (ada,) = await rig.joined("ada")
        voices.levels = {await speaking(ada, source="screen_audio"): 0.5}
        await ada.take_all()
        await trio.sleep(2 * INTERVAL)
        assert await ada.take_all() == []


async def test_an_exception_in_measuring_a_member_ends_only_that_session(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig() as rig:
        rig.nursery.start_soon(rig.gateway.run)
        ada, ben = await rig.joined("ada", "ben")
        broken, well = await speaking(ada), await speaking(ben)

        def level(producer: sfu.Producer) -> float:
            if producer.id == broken:
                raise RuntimeError("a bug")
            return 0.5 if producer.id == well else 0.0

        await ben.take_all()
        monkeypatch.setattr(sfu.Producer, "take_voice_level", level)
        assert await ada.wait_closed() == 4500
        kinds = [frame["type"] for frame in await ben.take_all()]
        assert sorted(kinds) == ["active_speakers", "voice_state"]


async def test_a_newcomer_is_not_notified_of_a_speaker_that_has_just_left(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = Voices(monkeypatch)
    async with open_rig() as rig:
        rig.nursery.start_soon(rig.gateway.run)
        ada, ben = await rig.joined("ada", "ben")
        voices.levels = {await speaking(ada): 0.5}
        await trio.sleep(2 * INTERVAL)
        await ada.request("leave")
        assert (await ada.take_all())[-1]["type"] == "ok"
        cleo = await rig.connect()
        await cleo.request("join", channelId="lobby", username="cleo", userId="cleo")
        assert [frame["type"] for frame in await cleo.take_all()] == ["ok"]
        assert ben.closed is None
