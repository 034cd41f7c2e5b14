"""Run clients that others wrote against a gateway, see whether media passes, and print the table.

Exit status: 0 where everything that was tried works, 1 where something does not, 2 where nothing can be said.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import trio
from attrs import define, field

from sfu.wire.certificate import generate_certificate
from tools.bench.gateway_process import ARGUMENTS, GatewayProcess, running_gateway
from tools.bench.process import ServerEnded
from tools.interop.clients import CLIENTS, CannotBuild, Client, Command
from tools.interop.page import PLACE, table
from tools.interop.run import Outcome, run
from tools.interop.scenario import SCENARIOS, Scenario
from tools.light import Identity
from tools.page import NoPlace

_ADDRESSES = ("127.0.0.1", "127.0.0.2")
_EMPTY_WITHIN = 10.0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.interop", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=3, metavar="N", help="so many at a time")
    parser.add_argument("--clients", nargs="+", default=[], metavar="NAME", help="these alone")
    parser.add_argument("--only", nargs="+", default=[], metavar="WHAT", help="numbers of scenarios, or words in them")
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"put the table there, after {PLACE.begin}")
    parser.add_argument("--list", action="store_true", help="list clients and scenarios and do nothing")
    return parser.parse_args(arguments)


def chosen_clients(names: Sequence[str]) -> list[Client]:
    wanted = {name.lower() for name in names}
    return [client for client in CLIENTS if not wanted or client.name.lower() in wanted]


def chosen_scenarios(only: Sequence[str]) -> list[Scenario]:
    """Those that are meant by number (from 1) or by words; all where nothing is said."""
    return [
        scenario
        for number, scenario in enumerate(SCENARIOS, 1)
        if not only or any(word == str(number) or (not word.isdigit() and word in scenario.name) for word in only)
    ]


def tell(outcome: Outcome) -> None:
    """One line for each, as it comes."""
    why = f": {'; '.join(outcome.problems)}" if outcome.problems else ""
    print(f"{outcome.client}, {outcome.scenario.name}: {outcome.word}{why}", file=sys.stderr, flush=True)


@define
class Session:
    """All runs against two gateways: one with one address for media, one with two."""

    gateways: Sequence[GatewayProcess]
    identity: Identity
    jobs: trio.CapacityLimiter
    outcomes: list[Outcome] = field(factory=list)
    versions: dict[str, str] = field(factory=dict)
    not_built: dict[str, str] = field(factory=dict)

    async def try_all(self, clients: Sequence[Client], scenarios: Sequence[Scenario]) -> None:
        for client in clients:
            command = await self._build(client)
            async with trio.open_nursery() as nursery:
                for scenario in scenarios:
                    if (reason := client.cannot(scenario)) is not None:
                        self._note(Outcome(client.name, scenario, "not tried", (reason,)))
                    elif command is not None:
                        nursery.start_soon(self._try, client, command, scenario)

    async def _build(self, client: Client) -> Command | None:
        self.versions[client.name] = ""
        try:
            command = await client.build()
        except CannotBuild as error:
            self.not_built[client.name] = str(error)
            print(f"{client.name} is left out: {error}", file=sys.stderr, flush=True)
            return None
        self.versions[client.name] = client.version()
        return command

    async def _try(self, client: Client, command: Command, scenario: Scenario) -> None:
        gateway = self.gateways[scenario.addresses - 1]
        async with self.jobs:
            url = gateway.url.replace("http", "ws", 1) + "/ws"
            self._note(await run(client, command, url, self.identity, scenario))

    def _note(self, outcome: Outcome) -> None:
        if outcome.word != "not tried":
            tell(outcome)
        self.outcomes.append(outcome)

    def sorted_outcomes(self) -> list[Outcome]:
        order = list(self.versions)
        return sorted(
            self.outcomes, key=lambda outcome: (order.index(outcome.client), SCENARIOS.index(outcome.scenario))
        )


async def left_over(gateway: GatewayProcess) -> list[str]:
    """What is still alive in a gateway that everybody has left."""
    names = ("sessions", "transports", "producers", "consumers", "routes")
    alive: list[str] = []
    with trio.move_on_after(_EMPTY_WITHIN):
        while True:
            figures = {name: await trio.to_thread.run_sync(gateway.metric, f"sfu_{name}") for name in names}
            alive = [f"{count:g} {name}" for name, count in figures.items() if count]
            if not alive:
                break
            await trio.sleep(0.2)
    errors = [line for line in gateway.log().splitlines() if b'"level": "error"' in line or b'"level":"error"' in line]
    return [*alive, *(f"in its log: {json.loads(line).get('event')}" for line in errors)]


async def try_all(options: argparse.Namespace) -> tuple[Session, list[str]]:
    def serve(addresses: Sequence[str]) -> tuple[str, ...]:
        hosts = (word for address in addresses for word in ("--media-host", address))
        return ("gateway", *ARGUMENTS, *hosts)

    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    async with running_gateway(serve(_ADDRESSES[:1])) as one, running_gateway(serve(_ADDRESSES)) as two:
        session = Session((one, two), identity, trio.CapacityLimiter(options.jobs))
        await session.try_all(chosen_clients(options.clients), chosen_scenarios(options.only))
        left = [*await left_over(one), *await left_over(two)]
    return session, left


def report(options: argparse.Namespace) -> int:
    if options.write is not None:
        PLACE.check(options.write)
    session, left = trio.run(try_all, options)
    outcomes = session.sorted_outcomes()
    text = table(session.versions, session.not_built, outcomes)
    print(text)
    if options.write is not None:
        PLACE.replace(options.write, text)
    for what in left:
        print(f"the gateway has left over: {what}", file=sys.stderr)
    if not any(outcome.word in ("works", "fails") for outcome in outcomes):
        print("error: nothing could be tried", file=sys.stderr)
        return 2
    return 1 if left or any(outcome.word == "fails" for outcome in outcomes) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.list:
        print("clients:", ", ".join(client.name for client in CLIENTS))
        for number, scenario in enumerate(SCENARIOS, 1):
            print(f"{number:3} {scenario.name}")
        return 0
    try:
        return report(options)
    except* (NoPlace, ServerEnded, OSError) as errors:
        for error in errors.exceptions:
            print(f"error: {error}", file=sys.stderr)
    except* KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
