"""A session that goes on over another WebSocket: nothing is lost or done twice, and nobody else notices."""

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gateway.connection import end_reasons
from protocol import limits
from tests.session.memory_gateway import RawClient, Rig, microphone, open_rig, send_transport

SECRET = "a-secret-of-the-client-itself"


async def join(client: RawClient, user: str) -> dict[str, Any]:
    """Join, and return the fields with which the session can be resumed."""
    joined = await client.join(user, sessionSecret=SECRET)
    return {"sessionId": joined["sessionId"], "sessionSecret": joined["sessionSecret"]}


async def resume(rig: Rig, session: dict[str, Any], **seen: int) -> tuple[RawClient, Any]:
    """Resume a session over a new socket, and return the client with the answer."""
    client = await rig.connect()
    client.last_event = seen.get("lastEvent", 0)
    return client, await client.ok("resume_session", **session, **seen)


async def raw_request(client: RawClient, number: int, kind: str, /, **data: Any) -> None:
    await client.raw(json.dumps({"id": number, "type": kind, "data": data}))


async def test_a_session_goes_on_over_another_socket_and_nobody_else_notices(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        transport = await send_transport(ada)
        await wait_all_tasks_blocked()
        ben.forget()
        again, answer = await resume(rig, session, lastAnswer=2)
        assert answer["lost"] is False
        assert await again.ok("close", transportId=transport) == {}
        assert await again.ok("message", data="still here") == {"delivered": 1}
        assert (await ben.event("message"))["from"] == "ada"
        assert await ben.take_all() == []
        assert rig.gateway.open_connections == 2
        await again.close()
        assert (await ben.voice_state("user_left"))["reason"] == "left"
        await ben.close()
        await wait_all_tasks_blocked()
        rig.assert_empty()


async def test_the_old_socket_is_closed_in_the_same_step_without_a_goodbye(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        await wait_all_tasks_blocked()
        ada.forget()
        await resume(rig, session)
        assert await ada.wait_closed() == 1006
        assert ada.frames == []


async def test_missing_answers_and_events_come_again_in_their_order(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        await ben.ok("message", data=1)
        created = await ada.ok("create_transport", direction="send")
        await ben.ok("message", data=2)
        await wait_all_tasks_blocked()
        again, answer = await resume(rig, session, lastEvent=1, lastAnswer=1)
        assert (answer["lastRequest"], answer["lastEvent"]) == (2, 2)
        await wait_all_tasks_blocked()
        assert again.frames == [
            {"id": 2, "type": "ok", "data": created},
            {"type": "message", "data": {"from": "ben", "data": 2}},
        ]


async def test_events_that_come_while_the_socket_is_dead_are_not_lost(autojump_clock: MockClock) -> None:
    async with open_rig(resume_grace=5) as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        await trio.aclose_forcefully(ada.stream)
        await wait_all_tasks_blocked()
        assert await ben.ok("message", data="where are you") == {"delivered": 1}
        again, _ = await resume(rig, session, lastAnswer=1)
        assert (await again.event("message"))["data"] == "where are you"


async def test_a_request_that_was_answered_gets_its_answer_again_and_is_not_served_twice(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        await raw_request(ada, 7, "message", data="once")
        await wait_all_tasks_blocked()
        again, answer = await resume(rig, session, lastAnswer=1)
        assert answer["lastRequest"] == 7
        await wait_all_tasks_blocked()
        again.forget()
        await raw_request(again, 7, "message", data="once")
        await wait_all_tasks_blocked()
        assert again.frames == [{"id": 7, "type": "ok", "data": {"delivered": 1}}]
        assert [frame["data"]["data"] for frame in ben.frames if frame["type"] == "message"] == ["once"]


async def test_a_request_that_waits_in_the_inbox_is_served_and_answered_once(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        connection = rig.gateway.seats[session["sessionId"]].member.connection
        text = json.dumps({"id": 7, "type": "message", "data": {"data": "once"}})
        assert connection.attachment is not None
        for _ in range(2):
            connection.receive(connection.attachment, text, len(text))
        again, _ = await resume(rig, session, lastAnswer=1)
        await wait_all_tasks_blocked()
        assert [frame["id"] for frame in again.frames] == [7]
        assert [frame["type"] for frame in ben.frames].count("message") == 1


async def test_requests_behind_resume_session_are_served_by_the_session(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        again = await rig.connect()
        await raw_request(again, 2, "resume_session", **session, lastAnswer=1)
        await raw_request(again, 3, "ping")
        await raw_request(again, 4, "create_transport", direction="send")
        await wait_all_tasks_blocked()
        assert [(frame["id"], frame["type"]) for frame in again.frames] == [(2, "ok"), (3, "ok"), (4, "ok")]


@pytest.mark.parametrize(
    "wrong",
    [{"sessionSecret": "another-secret-of-the-client"}, {"sessionId": "nobody"}],
    ids=["a wrong secret", "no such session"],
)
async def test_a_wrong_secret_and_an_unknown_session_look_alike_and_the_client_may_join(
    autojump_clock: MockClock, wrong: dict[str, str]
) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        thief = await rig.connect()
        assert await thief.error("resume_session", **(session | wrong)) == "not_found"
        assert await ada.ok("ping") == {}
        await thief.join("eve")


async def test_a_session_that_has_ended_cannot_be_resumed(autojump_clock: MockClock, slow_goodbyes: None) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        await send_transport(ada)
        await ada.close()  # from now on it is leaving, and has a list entry for a second
        late = await rig.connect()
        assert await late.error("resume_session", **session) == "not_found"
        await trio.sleep(2)
        assert await late.error("resume_session", **session) == "not_found"


async def test_a_client_in_a_session_cannot_resume_another(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.connect(), await rig.connect()
        session = await join(ada, "ada")
        await join(ben, "ben")
        assert await ben.error("resume_session", **session) == "already_joined"


async def test_the_newest_of_several_sockets_wins(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        first, _ = await resume(rig, session, lastAnswer=1)
        second, _ = await resume(rig, session, lastAnswer=1)
        assert await first.wait_closed() == 1006
        assert await second.ok("ping") == {}
        assert rig.gateway.open_connections == 1


async def test_nothing_from_the_old_socket_counts_after_the_new_one(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        connection = rig.gateway.seats[session["sessionId"]].member.connection
        old = connection.attachment
        assert old is not None
        again, _ = await resume(rig, session, lastAnswer=1)
        connection.receive(old, json.dumps({"id": 9, "type": "leave"}), 25)
        old.report(end_reasons.CLOSED)
        connection.attachment_failed(old, ExceptionGroup("old", [ValueError()]))
        await wait_all_tasks_blocked()
        assert again.frames == []
        assert await again.ok("ping") == {}


@pytest.mark.parametrize("grace", [0, 5])
@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_close_frame_ends_the_session_at_once(autojump_clock: MockClock, grace: int, code: int) -> None:
    async with open_rig(resume_grace=grace) as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        again, _ = await resume(rig, session, lastAnswer=1)
        await ben.voice_state("user_joined")
        before = trio.current_time()
        await again.close(code)
        reason = (await ben.voice_state("user_left"))["reason"]
        assert (reason, trio.current_time()) == ("left" if code == 1000 else "disconnected", before)


@pytest.mark.parametrize(("grace", "seconds"), [(0, 0), (3, 3), (9.5, 9.5 - 4)])
async def test_a_broken_socket_keeps_the_seat_for_the_grace_but_no_longer_than_silence(
    autojump_clock: MockClock, grace: float, seconds: float
) -> None:
    async with open_rig(resume_grace=grace) as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        await join(ada, "ada")
        await ben.voice_state("user_joined")
        await trio.sleep(4)  # the last sign of life of Ada is so old when her socket breaks
        before = trio.current_time()
        await trio.aclose_forcefully(ada.stream)
        assert (await ben.voice_state("user_left"))["reason"] == "disconnected"
        assert trio.current_time() == pytest.approx(before + seconds)


async def test_a_replaced_session_ends_at_once_while_it_waits_for_its_client(autojump_clock: MockClock) -> None:
    async with open_rig(resume_grace=9) as rig:
        ada = await rig.connect()
        await join(ada, "ada")
        await trio.aclose_forcefully(ada.stream)
        await wait_all_tasks_blocked()
        before = trio.current_time()
        other = await rig.connect()
        await other.join("ada", sessionSecret=SECRET)
        assert trio.current_time() == before


async def test_what_the_gateway_cannot_keep_is_told_with_the_whole_state(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.connect(), await rig.connect()
        session = await join(ada, "ada")
        await ben.join("ben")
        transport = await send_transport(ada)
        producer = await microphone(ada, transport)
        for number in range(limits.MAX_UNACKNOWLEDGED_BYTES // 15_000 + 5):
            await ben.ok("message", data=[number, "x" * 15_000])
        await wait_all_tasks_blocked()
        last_event = ada.last_event
        again, answer = await resume(rig, session, lastEvent=3, lastAnswer=3)
        assert answer["lost"] is True
        assert [one["userId"] for one in answer["participants"]] == ["ada", "ben"]
        assert answer["revision"] == 3
        assert answer["transports"] == [{"transportId": transport, "direction": "send", "state": "new"}]
        assert [one["producerId"] for one in answer["producers"]] == [producer]
        assert answer["consumers"] == []
        assert answer["lastEvent"] == last_event
        again.last_event = last_event
        await wait_all_tasks_blocked()
        assert again.frames == []
        await ben.ok("message", data="next")
        assert (await again.event("message"))["data"] == "next"
        await raw_request(again, 3, "ping")
        assert (await again.next())["data"]["code"] == "conflict"


async def test_an_acknowledgement_makes_room(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.connect(), await rig.connect()
        session = await join(ada, "ada")
        await ben.join("ben")
        log = rig.gateway.seats[session["sessionId"]].member.connection.replay_log
        assert log is not None
        for number in range(2 * limits.MAX_UNACKNOWLEDGED_BYTES // 15_000):
            await ben.ok("message", data=[number, "x" * 15_000])
            await wait_all_tasks_blocked()
            await ada.ok("ping", lastEvent=ada.last_event, lastAnswer=1 + number)
            assert log.size < 16_000
        _, answer = await resume(rig, session, lastEvent=ada.last_event, lastAnswer=2 + number)
        assert answer["lost"] is False


async def test_a_change_of_the_list_is_kept_and_comes_again_without_the_list(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben, *others = [await rig.connect() for _ in range(12)]
        for number, other in enumerate(others):
            await other.join(f"other{number}", metadata={"about": "x" * 4000})
        session = await join(ada, "ada")
        log = rig.gateway.seats[session["sessionId"]].member.connection.replay_log
        assert log is not None
        before = log.size
        await ben.join("ben")
        first = await ada.voice_state("user_joined")
        assert len(first["participants"]) == 12
        for number in range(20):  # with the list, each change has more than 40,000 bytes
            await ben.ok("move", channelId=["attic", "lobby"][number % 2])
        await wait_all_tasks_blocked()
        assert log.size - before < 21 * limits.VOICE_STATE_BYTES
        again, answer = await resume(rig, session, lastAnswer=1, lastEvent=ada.last_event - 2)
        assert answer["lost"] is False
        left, joined = [frame["data"] for frame in await again.take_all()]
        assert (left["type"], joined["type"], joined["participant"]["userId"]) == ("user_left", "user_joined", "ben")
        assert "participants" not in left
        assert "participants" not in joined


async def test_a_client_may_leave_and_join_again_over_the_new_socket(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        again, _ = await resume(rig, session, lastAnswer=1)
        assert await again.ok("leave") == {}
        again.last_event = 0
        fresh = await again.join("ada")
        assert fresh["sessionId"] != session["sessionId"]
        late = await rig.connect()
        assert await late.error("resume_session", **session) == "not_found"
        assert await again.ok("ping") == {}


@pytest.mark.parametrize("whose", [0, 1], ids=["the session", "the new socket"])
async def test_cancelling_either_task_ends_the_session_and_closes_both_sockets(
    autojump_clock: MockClock, whose: int
) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        again, _ = await resume(rig, session, lastAnswer=1)
        rig.scopes[whose].cancel()
        await again.wait_closed()
        await ada.wait_closed()
        await wait_all_tasks_blocked()
        rig.assert_empty()


async def test_a_client_that_falls_silent_on_its_new_socket_times_out(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        await ben.voice_state("user_joined")
        again = await rig.connect(read=False)
        await raw_request(again, 2, "resume_session", **session)
        before = trio.current_time()
        assert (await ben.voice_state("user_left"))["reason"] == "timed_out"
        assert trio.current_time() <= before + 10


@pytest.mark.parametrize("broken_first", [True, False])
async def test_a_cancelled_socket_leaves_no_session_that_waits_for_its_client(
    autojump_clock: MockClock, broken_first: bool
) -> None:
    async with open_rig(resume_grace=9) as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        await ben.voice_state("user_joined")
        again, _ = await resume(rig, session, lastAnswer=1)
        if broken_first:
            await trio.aclose_forcefully(again.stream)
        before = trio.current_time()
        rig.scopes[2].cancel()
        assert (await ben.voice_state("user_left"))["reason"] == "disconnected"
        assert trio.current_time() == before
        await wait_all_tasks_blocked()
        assert rig.gateway.open_connections == 1


async def test_a_session_that_changes_its_socket_too_often_is_refused_and_goes_on(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        for _ in range(20):
            current, _ = await resume(rig, session, lastAnswer=1)
        another = await rig.connect()
        assert await another.error("resume_session", **session, lastAnswer=1) == "rate_limited"
        assert await current.ok("ping") == {}
        await trio.sleep(1.5)
        assert (await another.ok("resume_session", **session, lastAnswer=1))["lost"] is False


async def test_a_ping_without_numbers_acknowledges_nothing(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada = await rig.connect()
        session = await join(ada, "ada")
        log = rig.gateway.seats[session["sessionId"]].member.connection.replay_log
        assert log is not None
        await ada.ok("ping")
        log.start_over()  # as if the answers had been dropped
        await raw_request(ada, 1, "ping")  # an old kind of client, whose ids do not rise
        await wait_all_tasks_blocked()
        assert ada.frames[-1] == {"id": 1, "type": "ok", "data": {}}
