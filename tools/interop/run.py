"""One run: a program and the light participant in a channel of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Literal

import trio
from attrs import frozen

from protocol.client import ConnectError, ConnectionClosed, RequestError, connect
from protocol.events import VoiceState
from protocol.vocabulary import MediaKind
from tools.interop.clients import ForeignClient
from tools.interop.light_participant import INTERVAL, Listener, Talker, open_transport
from tools.interop.media import Comparison
from tools.interop.program import Line, ProgramFailed, running_program
from tools.interop.scenario import SCENARIOS, Scenario
from tools.light import Identity

Status = Literal["works", "fails", "not tried"]

#: Seconds for everything but the media.  Programs start slowly on a busy machine.
PATIENCE: Final = 30.0
_MUTE: Final = 8.0
_ON_ITS_WAY: Final = 0.5
#: Frames a second, and the share of them that must arrive if packets have no numbers.
_RATES: Final[dict[MediaKind, int]] = {"audio": 50, "video": 10}
_ENOUGH: Final = 0.5
#: Prefix of a transport state that the gateway reported to a program.  States of the program's own stack have none.
REPORTED: Final = "reported as"
_BAD_STATES: Final = ("disconnected", "failed")


@frozen
class ScenarioResult:
    """The result of a scenario with a client.  ``problems`` are short sentences."""

    client: str
    scenario: Scenario
    status: Status
    problems: Sequence[str] = ()


async def run(
    client: ForeignClient, command: Sequence[str], url: str, identity: Identity, scenario: Scenario
) -> ScenarioResult:
    """Play a scenario with a client.  The run always ends, and no process, member or media object outlives it."""
    settings = {
        **scenario.settings(),
        "url": url,
        "channel": f"{client.name.lower()}:{SCENARIOS.index(scenario)}",
        "user": "program",
    }
    play = partial(_listen, clock=client.clock) if scenario.direction == "send" else _talk
    problems: list[str] = []
    try:
        with trio.fail_after(scenario.seconds + _MUTE + 2 * PATIENCE):
            problems = await play(command, url, identity, scenario, settings)
    except* ProgramFailed as failures:
        problems = [_first(failures)]
    except* (RequestError, ConnectionClosed, ConnectError, OSError, trio.TooSlowError) as failures:
        problems = [f"the light participant failed: {_first(failures) or 'too slow'}"]
    return ScenarioResult(client.name, scenario, "fails" if problems else "works", problems)


def _first(failure: BaseException) -> str:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return str(failure)


async def _listen(
    command: Sequence[str], url: str, identity: Identity, scenario: Scenario, settings: dict[str, Any], *, clock: bool
) -> list[str]:
    """The program sends, and the light participant counts."""
    async with connect(url) as signalling, trio.open_nursery() as nursery:
        joined = await signalling.join(settings["channel"], "listener")
        capabilities = joined.router_rtp_capabilities
        async with open_transport(signalling, "receive", identity, capabilities) as (transport_id, endpoint):
            listener = Listener(signalling, transport_id, endpoint, settings["user"])
            nursery.start_soon(listener.follow)
            nursery.start_soon(listener.listen)
            async with running_program(command, settings) as program:
                done = await program.until("done", scenario.seconds + _MUTE + PATIENCE)
                await trio.sleep(_ON_ITS_WAY)
                states = list(program.states)
                await program.leave()
                with trio.move_on_after(PATIENCE):
                    await listener.left.wait()
        nursery.cancel_scope.cancel()
    return [*_compare_sent(done, listener, scenario), *listener.problems(clock=clock), *_state_problems(states)]


def _compare_sent(done: Line, listener: Listener, scenario: Scenario) -> list[str]:
    problems = []
    kinds: tuple[MediaKind, ...] = ("audio", "video")
    for kind in kinds:
        tally = listener.tallies.get(kind)
        numbers = tally.numbers if tally is not None else []
        if (sent := done.get("sent")) is not None:
            problems += Comparison(kind, sent[kind], numbers).problems()
        elif len(numbers) < (least := int(scenario.seconds * _RATES[kind] * _ENOUGH)):
            problems.append(f"only {len(numbers)} {kind} packets arrived, at least {least} were expected")
    return problems


def _state_problems(states: Sequence[str]) -> list[str]:
    """Problems with bad states of the transport.

    A bad state that the gateway reported always counts.  A bad state of the stack counts only if it was the last one.
    """
    reported = [state for state in states if state.startswith(REPORTED)]
    latest = [state for state in states if not state.startswith(REPORTED)][-1:]
    return [f"its transport was {state}" for state in dict.fromkeys(reported + latest) if state.endswith(_BAD_STATES)]


async def _talk(
    command: Sequence[str], url: str, identity: Identity, scenario: Scenario, settings: dict[str, Any]
) -> list[str]:
    """The light participant sends, and the program counts."""
    async with connect(url) as signalling, trio.open_nursery() as nursery:
        await signalling.join(settings["channel"], "talker")
        async with open_transport(signalling, "send", identity) as (transport_id, endpoint):
            talker = Talker(signalling, transport_id, endpoint, scenario.video)
            await talker.publish()
            stopped = trio.Event()
            nursery.start_soon(talker.run, stopped)
            async with running_program(command, settings) as program:
                await program.until("receiving", PATIENCE)
                await _wait_and_mute(talker, scenario)
                stopped.set()
                await trio.sleep(_ON_ITS_WAY)
                states = list(program.states)
                for producer in talker.producers:
                    await signalling.close(producer_id=producer)
                done = await program.until("done", PATIENCE)
                await program.leave()
                problems = await _left(signalling.events(), settings["user"])
        nursery.cancel_scope.cancel()
    return [*_compare_received(done, talker, scenario), *problems, *_state_problems(states)]


async def _wait_and_mute(talker: Talker, scenario: Scenario) -> None:
    await trio.sleep(scenario.seconds / 2)
    if scenario.variation == "mute":
        talker.muted = True
        await trio.sleep(_MUTE)
        talker.muted = False
    await trio.sleep(scenario.seconds / 2)


def _compare_received(done: Line, talker: Talker, scenario: Scenario) -> list[str]:
    """Compare with the numbers that arrived, or with the stack's own statistics if it shows no packets."""
    problems = []
    may_miss = int(scenario.gap / INTERVAL)
    for kind, sent in talker.sent.items():
        received = done.get("received", {}).get(kind, {"packets": 0, "lost": 0})
        if "numbers" in received:
            problems += Comparison(kind, sent, received["numbers"], may_miss).problems()
        elif not received["packets"] or received["lost"] > may_miss:
            problems.append(f"{received['packets']} {kind} packets arrived and {received['lost']} were lost")
    video = done.get("received", {}).get("video", {})
    if video.get("numbers") and not video["firstIsKey"]:
        problems.append("the video does not begin with a key frame")
    if talker.asked < 2:
        problems.append("the client's request for a key frame did not reach the sender")
    elif video.get("keys", 2) < 2:
        problems.append("no key frame arrived after the client's request")
    return problems


async def _left(events: Any, user: str) -> list[str]:
    with trio.move_on_after(PATIENCE):
        async for event in events:
            if isinstance(event, VoiceState) and event.username == user and event.type == "user_left":
                return [] if event.reason == "left" else [f"the client left with the reason {event.reason!r}"]
    return ["the client never left"]
