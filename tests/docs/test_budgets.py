"""The table of budgets has every setting that bounds a client."""

import re

from gateway.config import SETTINGS
from tests.docs.pages import ROOT

BOUNDS = re.compile(r"^max_|_(bytes|age|rate|burst|share|messages|budget|window)$")
_ROW = re.compile(r"^\| (`[^|]*`) \|.*`tests/[\w/.:]+` \|$", re.MULTILINE)


def test_the_table_has_every_budget_of_the_configuration() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    isolation = text.partition("## 5. Isolation")[2].partition("## 6.")[0]
    listed = set(re.findall(r"`(\w+)`", " ".join(_ROW.findall(isolation))))
    budgets = {setting.name for setting in SETTINGS if BOUNDS.search(setting.name)}
    assert budgets <= listed
    assert listed <= {setting.name for setting in SETTINGS}
