"""Run other people's WebRTC stacks against a gateway, see whether media passes, and print the table.

Exit status: 0 if everything that was tried works, 1 if something fails, 2 if nothing could be tried.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import trio
from attrs import define, field

from tools.interop.clients import CLIENTS, CannotBuild, Command, ForeignClient
from tools.interop.page import PLACE, table
from tools.interop.run import ScenarioResult, run
from tools.interop.scenario import SCENARIOS, Scenario
from tools.light import Identity
from tools.page import NoPlace
from tools.servers import ARGUMENTS, GatewayProcess, ServerEnded, running_gateway

_ADDRESSES = ("127.0.0.1", "127.0.0.2")
_EMPTY_WITHIN = 10.0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.interop", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=3, metavar="N", help="number of runs at a time")
    parser.add_argument("--clients", nargs="+", default=[], metavar="NAME", help="only these clients")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WHAT", help="numbers of scenarios, or words in their names"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"write the table into it, after {PLACE.begin}")
    parser.add_argument("--list", action="store_true", help="list clients and scenarios, and exit")
    return parser.parse_args(arguments)


def chosen_clients(names: Sequence[str]) -> list[ForeignClient]:
    wanted = {name.lower() for name in names}
    return [client for client in CLIENTS if not wanted or client.name.lower() in wanted]


def chosen_scenarios(only: Sequence[str]) -> list[Scenario]:
    """The scenarios with these numbers (from 1) or with these words in their names.  All if ``only`` is empty."""
    return [
        scenario
        for number, scenario in enumerate(SCENARIOS, 1)
        if not only or any(word == str(number) or (not word.isdigit() and word in scenario.name) for word in only)
    ]


def print_result(result: ScenarioResult) -> None:
    """Print a result as soon as it is there."""
    why = f": {'; '.join(result.problems)}" if result.problems else ""
    print(f"{result.client}, {result.scenario.name}: {result.status}{why}", file=sys.stderr, flush=True)


@define
class InteropRun:
    """All runs, against two gateways: one with one address for media, one with two."""

    gateways: Sequence[GatewayProcess]
    identity: Identity
    jobs: trio.CapacityLimiter
    results: list[ScenarioResult] = field(factory=list)
    versions: dict[str, str] = field(factory=dict)
    not_built: dict[str, str] = field(factory=dict)

    async def try_all(self, clients: Sequence[ForeignClient], scenarios: Sequence[Scenario]) -> None:
        for client in clients:
            command = await self._build(client)
            async with trio.open_nursery() as nursery:
                for scenario in scenarios:
                    if (reason := client.why_not(scenario)) is not None:
                        self._note(ScenarioResult(client.name, scenario, "not tried", (reason,)))
                    elif command is not None:
                        nursery.start_soon(self._try, client, command, scenario)

    async def _build(self, client: ForeignClient) -> Command | None:
        self.versions[client.name] = ""
        try:
            command = await client.build()
        except CannotBuild as error:
            self.not_built[client.name] = str(error)
            print(f"skipping {client.name}: {error}", file=sys.stderr, flush=True)
            return None
        self.versions[client.name] = client.version()
        return command

    async def _try(self, client: ForeignClient, command: Command, scenario: Scenario) -> None:
        gateway = self.gateways[scenario.addresses - 1]
        async with self.jobs:
            url = gateway.url.replace("http", "ws", 1) + "/ws"
            self._note(await run(client, command, url, self.identity, scenario))

    def _note(self, result: ScenarioResult) -> None:
        if result.status != "not tried":
            print_result(result)
        self.results.append(result)

    def sorted_results(self) -> list[ScenarioResult]:
        order = list(self.versions)
        return sorted(self.results, key=lambda result: (order.index(result.client), SCENARIOS.index(result.scenario)))


async def left_over(gateway: GatewayProcess) -> list[str]:
    """The sessions and media objects that a gateway has after all clients have left, and the errors in its log."""
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


async def try_all(options: argparse.Namespace) -> tuple[InteropRun, list[str]]:
    def serve(addresses: Sequence[str]) -> tuple[str, ...]:
        hosts = (word for address in addresses for word in ("--media-host", address))
        return ("gateway", *ARGUMENTS, *hosts)

    identity = Identity.new()
    async with running_gateway(serve(_ADDRESSES[:1])) as one, running_gateway(serve(_ADDRESSES)) as two:
        interop_run = InteropRun((one, two), identity, trio.CapacityLimiter(options.jobs))
        await interop_run.try_all(chosen_clients(options.clients), chosen_scenarios(options.only))
        left = [*await left_over(one), *await left_over(two)]
    return interop_run, left


def report(options: argparse.Namespace) -> int:
    if options.write is not None:
        PLACE.check(options.write)
    interop_run, left = trio.run(try_all, options)
    results = interop_run.sorted_results()
    text = table(interop_run.versions, interop_run.not_built, results)
    print(text)
    if options.write is not None:
        PLACE.replace(options.write, text)
    for what in left:
        print(f"left over at the gateway: {what}", file=sys.stderr)
    if not any(result.status in ("works", "fails") for result in results):
        print("error: nothing could be tried", file=sys.stderr)
        return 2
    return 1 if left or any(result.status == "fails" for result in results) else 0


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
