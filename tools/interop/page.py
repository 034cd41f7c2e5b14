"""The table of what was tried with which client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tools.interop.run import Outcome
from tools.interop.scenario import SCENARIOS
from tools.page import Place

PLACE: Final = Place("interop")


def table(clients: Mapping[str, str], not_built: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    """As Markdown: a row for each scenario, a column for each client; below it, what is wrong and what was left out.

    ``clients`` maps names to versions, ``not_built`` names to reasons.
    """
    found = {(outcome.client, outcome.scenario): outcome for outcome in outcomes}
    columns = [client for client in clients if client not in not_built]
    names = [f"{client} {clients[client]}" for client in columns]
    lines = [f"| the client | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for scenario in SCENARIOS:
        row = [found.get((client, scenario)) for client in columns]
        if any(row):
            lines.append(f"| {scenario.name} | {' | '.join(_cell(outcome) for outcome in row)} |")
    return "\n".join([*lines, "", *_failures(outcomes), "", *_left_out(not_built, outcomes)])


def _cell(outcome: Outcome | None) -> str:
    if outcome is None or outcome.word == "not tried":
        return "–"
    return "works" if outcome.word == "works" else "**fails**"


def _failures(outcomes: Sequence[Outcome]) -> list[str]:
    lines = [
        f"- {outcome.client}, {outcome.scenario.name}: {'; '.join(outcome.problems)}."
        for outcome in outcomes
        if outcome.word == "fails"
    ]
    return ["What fails:", "", *lines] if lines else ["Everything that was tried works."]


def _left_out(not_built: Mapping[str, str], outcomes: Sequence[Outcome]) -> list[str]:
    scenarios: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        if outcome.word == "not tried" and outcome.client not in not_built:
            scenarios.setdefault((outcome.client, outcome.problems[0]), []).append(outcome.scenario.name)
    lines = [f"- {client}: {reason} ({'; '.join(names)})." for (client, reason), names in scenarios.items()]
    lines += [f"- {client}: it was not built, {reason}." for client, reason in not_built.items()]
    return ["What was not tried, and why:", "", *lines] if lines else []
