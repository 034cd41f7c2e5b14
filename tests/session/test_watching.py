"""``watch``: the lists of channels for clients that have not joined them, without a gap and without a repetition."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked

from gateway.presence import feed
from gateway.session import watching
from tests.identity.made_up_keys import SECRET, sign, write_key
from tests.session.memory_gateway import TODAY, RawClient, Rig, microphone, open_rig, send_transport
from tools.harness.client import secret_of

FOREVER = TODAY.timestamp() + 86_400


async def watcher_of(rig: Rig, *channels: str, **more: Any) -> tuple[RawClient, list[Any]]:
    """A client that watches these channels, and the answer that it got."""
    client = await rig.connect()
    return client, (await client.ok("watch", channelIds=channels, **more))["channels"]


def position(of: dict[str, Any]) -> dict[str, int]:
    return {"epoch": of["epoch"], "revision": of["revision"]}


async def changes(client: RawClient) -> list[tuple[str, str, int]]:
    """The type, the user and the revision of each change that has come."""
    frames = await client.take_all()
    assert all(frame["type"] == "voice_state" for frame in frames), frames
    return [(frame["data"]["type"], frame["data"]["userId"], frame["data"]["revision"]) for frame in frames]


async def test_a_watcher_gets_the_list_and_then_each_change(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        eve, (lobby, studio) = await watcher_of(rig, "lobby", "studio")
        assert [one["userId"] for one in lobby["participants"]] == ["ada"]
        assert (lobby["snapshot"], lobby["revision"]) == (True, 1)
        assert (studio["participants"], studio["revision"]) == ([], 0)
        ben = await rig.connect()
        answer = await ben.join("ben")
        assert answer["epoch"] == lobby["epoch"]
        transport = await send_transport(ben)
        await microphone(ben, transport)
        await ada.ok("leave")
        assert await changes(eve) == [("user_joined", "ben", 2), ("user_updated", "ben", 3), ("user_left", "ada", 4)]


async def test_a_change_names_its_epoch_and_leaves_out_the_list(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        eve, (lobby,) = await watcher_of(rig, "lobby")
        await ada.ok("leave")
        change = await eve.voice_state("user_left")
        assert (change["epoch"], change["count"], change["reason"]) == (lobby["epoch"], 0, "left")
        assert "participants" not in change
        await ada.join("ada")
        again = await eve.voice_state("user_joined")
        assert again["epoch"] > lobby["epoch"]
        assert again["revision"] == 1


async def test_who_was_away_gets_what_it_missed(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        _, (before,) = await watcher_of(rig, "lobby")
        ben = await rig.connect()
        await ben.join("ben")
        await ada.ok("leave")
        _, (state,) = await watcher_of(rig, "lobby", after={"lobby": position(before)})
        assert state.keys() == {"channelId", "events"}
        assert [(one["type"], one["userId"]) for one in state["events"]] == [
            ("user_joined", "ben"),
            ("user_left", "ada"),
        ]
        _, (nothing,) = await watcher_of(rig, "lobby", after={"lobby": position(state["events"][-1])})
        assert nothing["events"] == []


async def test_the_changes_of_a_channel_that_has_closed_meanwhile_and_opened_again_are_all_there(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        _, (before,) = await watcher_of(rig, "lobby")
        await ada.ok("leave")
        await ada.join("ada")
        _, (state,) = await watcher_of(rig, "lobby", after={"lobby": position(before)})
        assert [(one["type"], one["revision"]) for one in state["events"]] == [("user_left", 2), ("user_joined", 1)]


@pytest.mark.parametrize("after", [{"epoch": 1, "revision": 0}, {"epoch": 2**53 - 1, "revision": 7}])
async def test_a_position_that_the_gateway_does_not_know_gets_a_snapshot(
    autojump_clock: MockClock, after: dict[str, int]
) -> None:
    async with open_rig() as rig:
        await rig.joined("ada")
        _, (state,) = await watcher_of(rig, "lobby", after={"lobby": after})
        assert state["snapshot"]
        assert len(state["participants"]) == 1


async def test_what_is_forgotten_comes_as_a_snapshot(autojump_clock: MockClock) -> None:
    async with open_rig(journal_channel_bytes=4096) as rig:
        await rig.joined("ada")
        _, (before,) = await watcher_of(rig, "lobby")
        ben = await rig.connect()
        for _ in range(10):
            await ben.join("ben")
            await ben.ok("leave")
        _, (state,) = await watcher_of(rig, "lobby", after={"lobby": position(before)})
        assert (state["snapshot"], state["revision"]) == (True, 21)


async def test_a_snapshot_of_an_empty_channel_ends_everybody_who_was_there(autojump_clock: MockClock) -> None:
    async with open_rig(journal_channel_bytes=4096) as rig:
        (ada,) = await rig.joined("ada", channel="studio")
        _, (before,) = await watcher_of(rig, "studio")
        await ada.ok("leave")
        for _ in range(10):
            await ada.join("ada", "studio")
            await ada.ok("leave")
        _, (state,) = await watcher_of(rig, "studio", after={"studio": position(before)})
        assert state["participants"] == []
        assert (state["epoch"], state["revision"]) > (before["epoch"], before["revision"])


async def test_a_prefix_stands_for_channels_that_open_later_too(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.joined("ada", channel="team-1")
        await rig.joined("cleo", channel="other")
        eve = await rig.connect()
        (state,) = (await eve.ok("watch", prefix="team-"))["channels"]
        assert (state["channelId"], state["revision"]) == ("team-1", 1)
        await rig.joined("ben", channel="team-2")
        await rig.joined("dan", channel="other")
        assert await changes(eve) == [("user_joined", "ben", 1)]
        known = {"team-1": position(state), "team-9": {"epoch": 1, "revision": 3}}
        states = (await eve.ok("watch", prefix="team-", after=known))["channels"]
        assert [one["channelId"] for one in states] == ["team-1", "team-2", "team-9"]
        assert states[2]["participants"] == []


async def test_who_watches_a_channel_twice_is_told_once(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        eve, _ = await watcher_of(rig, "lobby", "lobby")
        await eve.ok("watch", prefix="lob")
        await eve.ok("watch", prefix="")
        await eve.ok("watch", channelIds=["lobby"])
        await rig.joined("ada")
        assert await changes(eve) == [("user_joined", "ada", 1)]


async def test_a_member_that_watches_its_own_channel_is_told_once_and_of_its_own_leave(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        eve, _ = await watcher_of(rig, "lobby")
        await eve.join("eve")
        await rig.joined("ada")
        assert await changes(eve) == [("user_joined", "ada", 2)]
        await eve.ok("leave")
        assert await changes(eve) == [("user_left", "eve", 3)]


async def test_a_watcher_that_joins_gets_no_change_that_its_list_has_already(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        eve, _ = await watcher_of(rig, "lobby")
        ada = await rig.connect()
        # All three requests are handled before the feed runs again.
        await ada.request("join", channelId="lobby", username="ada", userId="ada")
        await eve.request("join", channelId="lobby", username="eve", userId="eve")
        frames = await eve.take_all()
        joined = next(place for place, frame in enumerate(frames) if frame["type"] == "ok")
        revision = frames[joined]["data"]["revision"]
        assert all(frame["data"]["revision"] <= revision for frame in frames[:joined])
        later = [frame["data"]["revision"] for frame in frames[joined + 1 :]]
        assert later == list(range(revision + 1, 3))


async def test_unwatch_ends_it(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        eve, _ = await watcher_of(rig, "lobby", "studio")
        assert rig.gateway.feed.count == 2
        assert await eve.ok("unwatch", channelIds=["studio", "nowhere"]) == {}
        await rig.joined("ada", channel="studio")
        assert await changes(eve) == []
        await rig.joined("ben")
        assert await changes(eve) == [("user_joined", "ben", 1)]
        assert await eve.ok("unwatch", prefix="lob") == {}
        assert await eve.ok("unwatch", channelIds=["lobby"]) == {}
        assert rig.gateway.feed.count == 0


async def test_nothing_of_a_watcher_is_left_once_it_has_gone(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        eve, _ = await watcher_of(rig, "lobby", "studio")
        await eve.ok("watch", prefix="team-")
        await eve.close()
        await wait_all_tasks_blocked()
        assert rig.gateway.feed.count == 0
        await rig.joined("ada")


async def test_a_watcher_may_wait_with_join_for_as_long_as_it_likes(autojump_clock: MockClock) -> None:
    async with open_rig(join_timeout=10) as rig:
        eve, _ = await watcher_of(rig, "lobby")
        await trio.sleep(60)
        assert eve.closed is None
        await eve.ok("unwatch", channelIds=["lobby"])
        await trio.sleep(9.5)
        assert eve.closed is None
        assert await eve.wait_closed() == 4408


async def test_a_client_that_never_joins_nor_watches_is_closed(autojump_clock: MockClock) -> None:
    async with open_rig(join_timeout=10) as rig:
        eve = await rig.connect()
        assert await eve.error("watch", channelIds=["no channel"]) == "invalid"
        assert await eve.wait_closed() == 4408


async def test_more_channels_than_one_client_may_watch_are_refused_and_the_others_stay(
    autojump_clock: MockClock,
) -> None:
    async with open_rig(max_watched_channels=3, max_watches=5) as rig:
        eve, _ = await watcher_of(rig, "a", "b")
        assert await eve.error("watch", channelIds=["b", "c", "d"]) == "limit_exceeded"
        assert await eve.ok("watch", channelIds=["a", "b", "c"])
        rig.remote = "198.51.100.2"
        dan, _ = await watcher_of(rig, "a", "b")
        assert await dan.error("watch", channelIds=["c"]) == "limit_exceeded"
        await rig.joined("ada", channel="b")
        assert await changes(eve) == await changes(dan) == [("user_joined", "ada", 1)]


async def test_one_address_may_watch_a_quarter_of_what_all_may(autojump_clock: MockClock) -> None:
    async with open_rig(max_watched_channels=2, max_watches=12, join_timeout=10) as rig:
        eve, _ = await watcher_of(rig, "a", "b")
        await watcher_of(rig, "a")
        late = await rig.connect()
        assert await late.error("watch", channelIds=["a"]) == "limit_exceeded"
        rig.remote = "198.51.100.2"
        assert await watcher_of(rig, "a", "b")
        await eve.close()
        await wait_all_tasks_blocked()
        assert await late.ok("watch", channelIds=["a", "b"])
        assert rig.gateway.feed.count == 5


@pytest.mark.parametrize(("bound", "most"), [("MOST_PARTICIPANTS", 3), ("MOST_BYTES", 499)])
async def test_an_answer_that_would_be_too_large_is_refused_and_nothing_is_watched(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    async with open_rig() as rig:
        ada, _ = await rig.joined("ada", "ben")
        monkeypatch.setattr(watching, bound, most)
        eve = await rig.connect()
        large = {"channelIds": ["lobby", "studio"]} if bound == "MOST_PARTICIPANTS" else {"channelIds": ["lobby"]}
        if bound == "MOST_BYTES":
            await ada.ok("update", metadata={"note": "ü" * 100})
        assert await eve.error("watch", **large) == "limit_exceeded"
        await ada.ok("leave")
        assert await changes(eve) == []
        assert len((await eve.ok("watch", channelIds=["lobby"]))["channels"]) == 1


async def test_a_watcher_pays_for_what_it_is_told(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "thread_time", count(0.0, 0.02).__next__)  # each of two pays a half
    async with open_rig(work_share=0.2, work_burst=0.01) as rig:
        ada, ben = await rig.joined("ada", "ben")
        watchers = [await watcher_of(rig, "lobby") for _ in range(2)]
        connections = list(rig.gateway.connections.values())
        for _ in range(10):
            await ben.ok("leave")
            await ben.join("ben")
        assert len(watchers) == 2
        debts = [connection.own_debt for connection in connections]
        assert debts[:2] == [0, 0]
        assert all(debt == pytest.approx((20 * 0.01 - 0.01) / 0.2) for debt in debts[2:])
        await ada.ok("ping")


async def test_who_may_not_watch_has_no_more_time_to_join(autojump_clock: MockClock) -> None:
    async with open_rig(max_watched_channels=1, join_timeout=10) as rig:
        eve = await rig.connect()
        assert await eve.error("watch", channelIds=["a", "b"]) == "limit_exceeded"
        assert await eve.wait_closed() == 4408


async def test_a_watcher_that_reads_nothing_is_closed_and_nobody_else(autojump_clock: MockClock) -> None:
    async with open_rig(outbox_bytes=64 * 1024, outbox_age=5) as rig:
        (ada,) = await rig.joined("ada")
        slow = await rig.connect(read=False, streams=lockstep_stream_pair)
        await slow.raw('{"id":1,"type":"watch","data":{"channelIds":["lobby"]}}')
        eve, _ = await watcher_of(rig, "lobby")
        ben = await rig.connect()
        for _ in range(40):
            await ben.join("ben", metadata={"text": "x" * 4000})
            await ben.ok("leave")
            ada.forget()
        assert len(await changes(eve)) == 80
        await trio.sleep(5)
        assert len(rig.gateway.connections) == 3
        assert ada.closed is None


async def test_a_feed_that_is_too_late_ends_all_watchers_rather_than_leave_out_a_change(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.presence.feed._MOST_PENDING", 3)
    async with open_rig() as rig:
        eve, _ = await watcher_of(rig, "lobby")
        idle, _ = await watcher_of(rig, "attic")
        journal = rig.gateway.journal
        entries = []
        journal.followers.insert(0, lambda entry, _: entries.append(entry))
        await rig.joined("ada")
        eve.forget()
        for _ in range(4):
            rig.gateway.feed.take(entries[-1], ())
        assert await eve.wait_closed() == 4413
        assert await idle.wait_closed() == 4413


# Tokens.


async def test_a_shared_token_is_needed_to_watch_as_it_is_to_join(autojump_clock: MockClock) -> None:
    async with open_rig(join_token="sesame") as rig:
        eve = await rig.connect()
        assert await eve.error("watch", channelIds=["lobby"]) == "unauthenticated"
        assert await eve.error("watch", channelIds=["lobby"], token="simsalabim") == "unauthenticated"
        assert await eve.ok("watch", channelIds=["lobby"], token="sesame")
        ada = await rig.connect()
        await ada.join("ada", token="sesame")
        assert await ada.ok("watch", prefix="")


async def test_a_json_web_token_must_grant_it_and_allow_the_channels(autojump_clock: MockClock, tmp_path: Path) -> None:
    def token(*grants: str, channel: Any = "team-*") -> str:
        return sign({"sub": "eve", "exp": FOREVER, "channel": channel, "can": list(grants)})

    async with open_rig(token_keys=(write_key(tmp_path, "k1.secret", SECRET),)) as rig:
        eve = await rig.connect()
        assert await eve.error("watch", channelIds=["team-1"]) == "unauthenticated"
        assert await eve.error("watch", channelIds=["team-1"], token=token("subscribe")) == "forbidden"
        right = token("watch")
        assert await eve.error("watch", channelIds=["team-1", "lobby"], token=right) == "forbidden"
        assert await eve.error("watch", prefix="tea", token=right) == "forbidden"
        assert rig.gateway.feed.count == 0
        assert await eve.ok("watch", channelIds=["team-1"], token=right)
        assert await eve.ok("watch", prefix="team-x", token=right)
        await eve.ok("join", channelId="team-1", username="Eve", token=token("subscribe"))
        assert await eve.error("watch", channelIds=["team-2"]) == "forbidden"
        assert await eve.ok("watch", channelIds=["team-2"], token=right)


async def test_a_session_that_resumes_goes_on_watching(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        eve = await rig.connect()
        joined = await eve.join("eve", "studio")
        await eve.ok("watch", channelIds=["lobby"])
        newer = await rig.connect()
        await newer.ok("resume_session", sessionId=joined["sessionId"], sessionSecret=secret_of("eve"))
        await rig.joined("ada")
        frames = await newer.take_all()
        assert [frame["data"]["userId"] for frame in frames if frame["type"] == "voice_state"] == ["ada"]
