"""The table of what was tried with which client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tools.interop.run import Outcome
from tools.interop.scenario import SCENARIOS
from tools.page import Place

PLACE: Final = Place("interop")


def table(clients: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    """As Markdown: a row for each scenario, a column for each client; ``clients`` maps names to versions.

    Below it, what is wrong.
    """
    found = {(outcome.client, outcome.scenario): outcome for outcome in outcomes}
    names = [f"{name} {version}".strip() for name, version in clients.items()]
    lines = [f"| the client | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for scenario in SCENARIOS:
        row = [found.get((client, scenario)) for client in clients]
        if any(row):
            lines.append(f"| {scenario.name} | {' | '.join(_cell(outcome) for outcome in row)} |")
    problems = [
        f"- {outcome.client}, {outcome.scenario.name}: {'; '.join(outcome.problems)}."
        for outcome in outcomes
        if outcome.word in ("fails", "not built")
    ]
    return "\n".join([*lines, "", *(dict.fromkeys(problems) or ["Everything that was tried works."])])


def _cell(outcome: Outcome | None) -> str:
    if outcome is None or outcome.word == "not tried":
        return "–"
    return f"**{outcome.word}**" if outcome.problems else outcome.word
