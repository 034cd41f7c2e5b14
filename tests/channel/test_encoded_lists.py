"""The lists of channels as JSON, which all who ask for them share."""

import pytest
from trio.testing import MockClock

from gateway.channel import channels as module
from gateway.channel.channels import Channels
from protocol.codec import encode_value
from tests.session.memory_gateway import Rig, open_rig


def is_right(channels: Channels, channel_id: str = "lobby") -> bool:
    return channels.state_text(channel_id) == encode_value(channels.state_of(channel_id))


def lists_of(rig: Rig) -> Channels:
    return rig.gateway.channels


async def test_a_list_is_encoded_once_for_all_until_it_changes(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, _ = await rig.joined("ada", "ben")
        before = lists_of(rig).state_text("lobby")
        assert is_right(lists_of(rig))
        assert lists_of(rig).state_text("lobby") is before
        await ada.ok("update", username="Ada Grüß")
        assert '"username":"Ada Grüß"' in lists_of(rig).state_text("lobby")
        assert is_right(lists_of(rig))
        await ada.ok("leave")
        assert '"ada"' not in lists_of(rig).state_text("lobby")
        assert is_right(lists_of(rig))


async def test_the_list_of_a_channel_that_is_not_open_is_empty(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        assert is_right(lists_of(rig), "nowhere")
        opened = lists_of(rig).state_text("lobby")
        await ada.ok("leave")
        closed = lists_of(rig).state_text("lobby")
        assert is_right(lists_of(rig))
        await ada.join("ada")
        assert is_right(lists_of(rig))
        assert len({opened, closed, lists_of(rig).state_text("lobby")}) == 3


async def test_lists_that_take_too_much_room_are_forgotten(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig() as rig:
        await rig.joined("ada")
        await rig.joined("ben", channel="studio")
        size = len(lists_of(rig).state_text("lobby"))
        monkeypatch.setattr(module, "_MOST_TEXT", 2 * size)
        kept = lists_of(rig).state_text("lobby")
        assert is_right(lists_of(rig), "studio")  # too much
        assert lists_of(rig).state_text("lobby") is not kept
        assert is_right(lists_of(rig))
