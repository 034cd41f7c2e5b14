"""Wherever a session is when it ends, it ends whole: a client is ended after each single step of its tasks."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import memory_stream_pair, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, HandshakeError

from gateway import endings
from tests.session import deterministic
from tests.session.deterministic import AtStep
from tests.session.media_objects import DTLS_PARAMETERS
from tests.session.rig import (
    ClosedEarly,
    RawClient,
    Rig,
    camera,
    microphone,
    open_rig,
    receive_transport,
    send_transport,
)

VICTIM = "the victim's connection"
OVER = (ClosedEarly, ConnectionClosed, HandshakeError, trio.BrokenResourceError, trio.ClosedResourceError)
MOST_STEPS = 2000


@define
class Onlooker:
    """What one of the others knows from what it was told, beginning with what it was told when it joined."""

    client: RawClient
    people: dict[str, Any]
    revision: int
    joined: int = 0
    left: int = 0

    def catch_up(self) -> None:
        """Take in what has come; each change must fit what was known before it."""
        for frame in self.client.frames:
            if frame["type"] == "voice_state":
                self._take(frame["data"])
        self.client.forget()

    def _take(self, change: Any) -> None:
        user, participant = change["userId"], change["participant"]
        self.revision += 1
        assert change["revision"] == self.revision
        assert (user in self.people) == (change["type"] != "user_joined")
        self.people[user] = participant
        if change["type"] == "user_left":
            del self.people[user]
        self.joined += change["type"] == "user_joined" and user == "eve"
        self.left += change["type"] == "user_left"
        assert list(self.people.values()) == change["participants"]


@define
class Scene:
    """One run: Ada and Ben are in a channel, and the victim's life goes on until it is ended."""

    rig: Rig = field(init=False)
    stream: Any = None
    played: bool = False

    async def play(self) -> None:
        """All of it, and what must hold afterwards, whatever happened."""
        async with open_rig() as self.rig:
            ada, ben = await self._onlookers("ada", "ben")
            voice = await microphone(ada.client, await send_transport(ada.client))
            ada_receives = await receive_transport(ada.client)
            await wait_all_tasks_blocked()
            tasks = trio.lowlevel.current_statistics().tasks_living
            media = self.rig.port.census()

            # trio-websocket waits for ever for the answer to a handshake that is not coming.
            with suppress(*OVER), trio.move_on_after(60):
                await self._victim(ada.client, voice, ada_receives)
            await trio.sleep(8)  # an exit may take 5 s, the goodbyes after it 2 s
            assert self.rig.serving == 2
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            assert self.rig.port.census() == media
            await self._assert_all_is_told([ada, ben])
            await ada.client.close()
            await ben.client.close()
            await wait_all_tasks_blocked()
            self.rig.assert_empty()
            totals = self.rig.port.plane.totals()
            assert (totals.routes, totals.paths) == (0, 0)
        self.played = True

    async def _onlookers(self, *users: str) -> list[Onlooker]:
        found = []
        for user in users:
            client = await self.rig.connect()
            joined = await client.join(user)
            people = {person["userId"]: person for person in joined["participants"]}
            found.append(Onlooker(client, people, joined["revision"]))
        return found

    async def _victim(self, ada: RawClient, voice: str, ada_receives: str) -> None:
        def streams() -> tuple[trio.abc.Stream, trio.abc.Stream]:
            self.stream, theirs = memory_stream_pair()
            return self.stream, theirs

        eve = await self.rig.connect(name=VICTIM, streams=streams)
        await eve.join("eve")
        sending, receiving = await send_transport(eve), await receive_transport(eve)
        await eve.ok("connect_transport", transportId=sending, dtlsParameters=DTLS_PARAMETERS)
        own = await microphone(eve, sending)
        await camera(eve, sending)
        await eve.ok("consume", transportId=receiving, producerId=voice)
        await ada.ask("consume", transportId=ada_receives, producerId=own)
        await eve.ok("message", data="hello")
        await eve.ok("leave")
        await eve.join("eve")
        await microphone(eve, await send_transport(eve))
        await eve.close()

    async def _assert_all_is_told(self, onlookers: list[Onlooker]) -> None:
        (channel,) = self.rig.gateway.channels.channels.values()
        assert list(channel.members) == ["ada", "ben"]
        for onlooker in onlookers:
            onlooker.catch_up()
            assert list(onlooker.people) == ["ada", "ben"]
            assert onlooker.joined == onlooker.left
            assert onlooker.revision == channel.revision
            await onlooker.client.ok("ping")
        stories = [line["event"] for line in self.rig.lines("eve") if line["event"] in STORY]
        assert stories == STORY * onlookers[0].left

    # Ways to end it.

    def remove(self) -> None:
        for connection in list(self.rig.gateway.sessions.values())[2:]:
            connection.end(endings.REMOVED)

    def cancel(self) -> None:
        self.rig.scopes[2].cancel()

    def cut(self) -> None:
        self.stream.send_stream.close()
        self.stream.receive_stream.close()


STORY = ["media closed", "removed from channel", "told"]


@pytest.mark.parametrize("way", [Scene.remove, Scene.cancel, Scene.cut])
def test_a_client_that_is_ended_after_any_step_is_gone_whole_and_the_others_know(way: Callable[[Scene], None]) -> None:
    for step in range(1, MOST_STEPS):
        scene = Scene()
        at_step = AtStep(VICTIM, step, lambda scene=scene: way(scene))  # type: ignore[misc]
        deterministic.run(scene.play, instruments=[at_step])
        assert at_step.failed is None
        assert scene.played, f"step {step}"
        if not at_step.reached:
            break
    assert 100 < at_step.seen < MOST_STEPS


def test_the_same_scene_takes_the_same_steps_every_time() -> None:
    """The canary: without Trio's private switch the order of tasks is drawn anew in each run."""

    def trace() -> list[str]:
        steps: list[str] = []

        class Trace(trio.abc.Instrument):
            def after_task_step(self, task: trio.lowlevel.Task) -> None:
                steps.append(task.name)

        deterministic.run(Scene().play, instruments=[Trace()])
        return steps

    first = trace()
    assert len(first) > 500
    assert all(trace() == first for _ in range(3))
