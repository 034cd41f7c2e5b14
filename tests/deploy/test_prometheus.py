"""The alert rules and the dashboard: promtool accepts them, and a real gateway has every metric that they name."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import Config
from gateway.server import open_server
from tests.front_door.memory_front_door import request
from tests.front_door.test_metrics_port import ask

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
TESTS = DEPLOY / "prometheus" / "alerts_test.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
NAME = re.compile(r"\b(?:sfu|process)_[a-z_]+\b")

# `make test` puts promtool there if the machine has none.
PROMTOOL = shutil.which("promtool") or shutil.which("promtool", path=str(DEPLOY.parent / ".stamps" / "promtool"))
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian: prometheus)")


def promtool(*arguments: str) -> str:
    done = subprocess.run((str(PROMTOOL), *arguments), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def expressions() -> list[str]:
    """The queries of the dashboard, without Grafana's own variables."""
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [query.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*") for query in found]


async def scraped() -> str:
    """The second scrape: the first one counts as a response in it."""
    async with open_server(Config(port=0, media_port=0, planes=1)) as server:
        await ask(server.url, request("/metrics"))
        return (await ask(server.url, request("/metrics"))).text


def names_in(text: str) -> set[str]:
    """All names of metrics in queries and rules. Labels and alerts have other forms."""
    return set(NAME.findall(text))


async def test_every_metric_of_rules_and_dashboard_is_in_a_scrape() -> None:
    families = list(text_string_to_metric_families(await scraped()))
    there = {sample.name for family in families for sample in family.samples}
    queries = [
        line for line in RULES.read_text().splitlines() if not line.strip().startswith(("summary", "description"))
    ]
    for text in (*queries, *expressions()):
        assert names_in(text) <= there, text


async def test_every_label_that_a_query_selects_is_in_a_scrape() -> None:
    families = list(text_string_to_metric_families(await scraped()))
    labels = {
        (sample.name, *item) for family in families for sample in family.samples for item in sample.labels.items()
    }
    for name, selectors in re.findall(r"((?:sfu|process)_[a-z_]+)\{([^}]*)\}", RULES.read_text()):
        for label, values in re.findall(r'([a-z_]+)=~?"([^"]*)"', selectors):
            if label != "job":
                assert all((name, label, value) in labels for value in values.split("|")), (name, label, values)


async def test_the_dashboard_shows_every_metric_that_an_operator_can_act_on() -> None:
    names = {family.name for family in text_string_to_metric_families(await scraped())}
    shown = {re.sub(r"_(total|bucket|count)$", "", name) for query in expressions() for name in names_in(query)}
    left_out = {"sfu_peers", "sfu_routes", "sfu_paths", "sfu_stored_packets"}  # of interest to developers
    assert {name for name in names if name.startswith("sfu_")} - shown == left_out


def test_panels_have_distinct_ids_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place: dict[str, int] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    ids: list[Any] = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


@needs_promtool
def test_promtool_accepts_the_rules_and_their_unit_tests_pass() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("test", "rules", str(TESTS))


@needs_promtool
def test_promtool_accepts_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    promtool("check", "rules", str(file))


@needs_promtool
async def test_promtool_accepts_a_scrape() -> None:
    done = await trio.run_process(
        (str(PROMTOOL), "check", "metrics"),
        stdin=(await scraped()).encode(),
        check=False,
        capture_stdout=True,
        capture_stderr=True,
    )
    assert done.returncode in (0, 3), done.stderr  # 3: advice about style
    assert b"error" not in done.stderr
