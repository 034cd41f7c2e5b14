"""The table of results, and the lists of failures and gaps below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tools.interop.run import ScenarioResult
from tools.interop.scenario import SCENARIOS
from tools.page import Place

PLACE: Final = Place("interop")


def table(clients: Mapping[str, str], not_built: Mapping[str, str], results: Sequence[ScenarioResult]) -> str:
    """The results as Markdown: a table with a row for each scenario and a column for each client, and the lists below.

    ``clients`` has the version of each client by name.  ``not_built`` has reasons by name.
    """
    found = {(result.client, result.scenario): result for result in results}
    columns = [client for client in clients if client not in not_built]
    names = [f"{client} {clients[client]}" for client in columns]
    lines = [f"| the client | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for scenario in SCENARIOS:
        row = [found.get((client, scenario)) for client in columns]
        if any(row):
            lines.append(f"| {scenario.name} | {' | '.join(_cell(result) for result in row)} |")
    return "\n".join([*lines, "", *_failures(results), "", *_left_out(not_built, results)])


def _cell(result: ScenarioResult | None) -> str:
    if result is None or result.status == "not tried":
        return "–"
    return "works" if result.status == "works" else "**fails**"


def _failures(results: Sequence[ScenarioResult]) -> list[str]:
    lines = [
        f"- {result.client}, {result.scenario.name}: {'; '.join(result.problems)}."
        for result in results
        if result.status == "fails"
    ]
    return ["What fails:", "", *lines] if lines else ["Everything that was tried works."]


def _left_out(not_built: Mapping[str, str], results: Sequence[ScenarioResult]) -> list[str]:
    scenarios: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.status == "not tried" and result.client not in not_built:
            scenarios.setdefault((result.client, result.problems[0]), []).append(result.scenario.name)
    lines = [f"- {client}: {reason} ({'; '.join(names)})." for (client, reason), names in scenarios.items()]
    lines += [f"- {client}: it was not built, {reason}." for client, reason in not_built.items()]
    return ["What was not tried, and why:", "", *lines] if lines else []
