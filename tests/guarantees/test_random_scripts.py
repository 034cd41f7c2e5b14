"""Up to twenty clients do random things and die in random ways, from scripts that hypothesis makes.

``make test`` runs it for about two minutes.  ``make scripts`` runs as many new scripts as ``SCRIPTS`` says.
Hypothesis shrinks a failure to a short script and prints it, so that it can be run again.
"""

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from gateway.channel.moderation import ADMIN, Moderation
from protocol.errors import RequestError
from tools.harness import CLEAN, ROUGH, WAYS, Gone, HarnessClient, Refused, World, run_scenario
from tools.harness.steps import EXIT_STEPS, is_async

EXAMPLES = int(os.environ.get("SCRIPTS", "400"))
MOST_CLIENTS = 20
USERS = [f"user-{number}" for number in range(8)]
CHANNELS = ["lobby", "cellar"]

Action = tuple[str, ...]

# The client of an action, as a number that counts through the present clients again and again.
any_client = st.integers(0, MOST_CLIENTS - 1).map(str)
actions: st.SearchStrategy[Action] = st.one_of(
    st.tuples(st.just("join"), st.sampled_from(USERS), st.sampled_from(CHANNELS)),
    st.tuples(st.just("join"), st.sampled_from(USERS), st.just("lobby")),
    st.tuples(st.just("join_again"), any_client),
    st.tuples(st.just("publish"), any_client, st.sampled_from(["audio", "video"])),
    st.tuples(st.just("subscribe"), any_client, any_client),
    st.tuples(st.just("pause"), any_client),
    st.tuples(st.just("close"), any_client),
    st.tuples(st.just("leave"), any_client),
    st.tuples(st.just("message"), any_client),
    st.tuples(st.just("change_network"), any_client),
    st.tuples(st.just("move"), any_client, st.sampled_from(CHANNELS)),
    st.tuples(st.just("mute"), any_client),
    st.tuples(st.just("unmute"), any_client),
    st.tuples(st.just("deafen"), any_client),
    st.tuples(st.just("undeafen"), any_client),
    st.tuples(st.just("lock"), st.sampled_from(CHANNELS)),
    st.tuples(st.just("unlock"), st.sampled_from(CHANNELS)),
    st.tuples(st.just("end_channel"), st.sampled_from(CHANNELS)),
    st.tuples(st.just("die"), any_client, st.sampled_from(list(WAYS))),
    st.tuples(st.just("wait"), st.sampled_from(["0", "0.01", "0.05", "0.5", "6"])),
    st.tuples(st.just("wait"), st.sampled_from(["0", "0.01", "0.05"])),
    st.tuples(st.just("hang"), st.sampled_from([step for step in EXIT_STEPS if is_async(step)])),
)


class Script:
    """Plays the actions of a script, each in a task of its own.

    The next action begins in the next tick of Trio, unless a ``wait`` comes between.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.connections = 0

    async def play(self, script: list[Action]) -> None:
        async with trio.open_nursery() as nursery:
            for kind, *arguments in script:
                if kind == "wait":
                    await trio.sleep(float(arguments[0]))
                    await wait_all_tasks_blocked()
                else:
                    action: Callable[..., Awaitable[None]] = getattr(self, kind)
                    nursery.start_soon(self._try, action, *arguments)
                    await trio.lowlevel.checkpoint()

    async def _try(self, action: Callable[..., Awaitable[None]], *arguments: str) -> None:
        """Do an action.  Its client may be gone or refused by now.  The action must end all the same."""
        with suppress(Gone, Refused), trio.fail_after(120):
            await action(*arguments)

    def _one(self, number: str) -> HarnessClient:
        """Return a client that believes to be in a channel."""
        here = [
            client
            for client in self.world.clients.values()
            if client.current_stay and client.name not in self.world.must_end
        ]
        if not here:
            raise Gone("no client is there")
        return here[int(number) % len(here)]

    async def join(self, user: str, channel: str) -> None:
        if len(self.world.serving) < MOST_CLIENTS:
            self.connections += 1
            client = self.world.client(f"{user}#{self.connections}")
            await client.connect()
            await self._join(client, channel)

    async def join_again(self, number: str) -> None:
        idle = [client for client in self.world.clients.values() if client.stays and not client.over.is_set()]
        if idle and (client := idle[int(number) % len(idle)]).current_stay is None:
            await self._join(client, "lobby")

    async def _join(self, client: HarnessClient, channel: str) -> None:
        # This join replaces another client of the same user, and a later join may replace this one.
        for other in self.world.clients.values():
            if other.user == client.user:
                self.world.expect_end(other.name, must=False)
        await client.join(channel)

    async def publish(self, number: str, kind: str) -> None:
        client = self._one(number)
        producer_id = await client.publish("audio" if kind == "audio" else "video")
        if client.user in self._muted_users:  # then it begins paused
            self.world.interrupted.add(producer_id)

    async def subscribe(self, number: str, other: str) -> None:
        await self._one(number).subscribe(next(iter(self._one(other).producers), "no such producer"))

    async def pause(self, number: str) -> None:
        client = self._one(number)
        for producer_id in list(client.producers):
            await client.ask("pause", producerId=producer_id)

    async def close(self, number: str) -> None:
        client = self._one(number)
        for producer_id in list(client.producers):
            client.producers.pop(producer_id, None)
            await client.ask("close", producerId=producer_id)

    async def leave(self, number: str) -> None:
        await self._one(number).leave()

    async def message(self, number: str) -> None:
        await self._one(number).ask("message", data="hello")

    async def move(self, number: str, channel: str) -> None:
        client = self._one(number)
        await client.move(channel)
        if client.user in self._muted_users:
            self.world.interrupted.update(client.producers)

    async def change_network(self, number: str) -> None:
        client = self._one(number)
        if client.is_resuming or await client.resume():
            return
        if client.name in self.world.may_end:
            client.give_up()

    # A moderator who comes over HTTP. Any decision may be about nobody.

    @property
    def _moderation(self) -> Moderation:
        return self.world.gateway.channels.moderation

    @property
    def _muted_users(self) -> set[str]:
        channels = self.world.gateway.channels.channels.values()
        return {user for channel in channels for user in channel.restraints.mutes}

    async def mute(self, number: str) -> None:
        client = self._one(number)
        if (stay := client.current_stay) is None:
            return
        self.world.interrupted.update(client.producers)
        for source in ("microphone", "camera"):
            with suppress(RequestError):
                self._moderation.mute(stay.channel, stay.user, source, by=ADMIN)
        await trio.lowlevel.checkpoint()

    async def unmute(self, number: str) -> None:
        if (stay := self._one(number).current_stay) is None:
            return
        for source in ("microphone", "camera"):
            with suppress(RequestError):
                self._moderation.unmute(stay.channel, stay.user, source, by=ADMIN)
        await trio.lowlevel.checkpoint()

    async def deafen(self, number: str) -> None:
        self._decide_about_hearing(number, self._moderation.deafen)
        await trio.lowlevel.checkpoint()

    async def undeafen(self, number: str) -> None:
        self._decide_about_hearing(number, self._moderation.undeafen)
        await trio.lowlevel.checkpoint()

    def _decide_about_hearing(self, number: str, decide: Callable[..., None]) -> None:
        client = self._one(number)
        if (stay := client.current_stay) is not None:
            self.world.interrupted.update(one["producerId"] for one in client.consumed.values())
            with suppress(RequestError):
                decide(stay.channel, stay.user, by=ADMIN)

    async def lock(self, channel: str) -> None:
        with suppress(RequestError):
            self._moderation.lock(channel, by=ADMIN)
        await trio.lowlevel.checkpoint()

    async def unlock(self, channel: str) -> None:
        with suppress(RequestError):
            self._moderation.unlock(channel, by=ADMIN)
        await trio.lowlevel.checkpoint()

    async def end_channel(self, channel: str) -> None:
        for client in self.world.clients.values():
            stay = client.current_stay
            # Those who wait for a seat end as well. Those who leave by themselves stay connected.
            if not client.over.is_set() and (stay is None or stay.channel == channel or client.waits_for("move")):
                self.world.expect_end(client.name, must=False)
        with suppress(RequestError):
            self._moderation.end(channel, by=ADMIN)
        await trio.lowlevel.checkpoint()

    async def die(self, number: str, way: str) -> None:
        client = self._one(number)
        # Outside of a channel no handler raises. And who leaves is not replaced, so a lock keeps the newcomer out.
        if not (client.waits_for("leave") and way in ("a handler that raises", "replaced by the same user")):
            WAYS[way](self.world, client.name)
        await trio.lowlevel.checkpoint()

    async def hang(self, step: str) -> None:
        self.world.faults.hangs(step)
        await trio.lowlevel.checkpoint()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="SCRIPTS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    print_blob=True,
)
@given(
    first=st.integers(0, 4),
    script=st.lists(actions, min_size=15, max_size=60),
    seed=st.integers(0, 2**16),
    rough=st.booleans(),
)
def test_every_guarantee_holds_for_random_scripts(first: int, script: list[Action], seed: int, rough: bool) -> None:
    async def scenario(world: World) -> None:
        note(f"await world.call(*{USERS[:first]!r})\nawait Script(world).play({script!r})")
        await world.call(*USERS[:first])
        await Script(world).play(script)

    run_scenario(scenario, seed=seed, conditions=ROUGH if rough else CLEAN)
