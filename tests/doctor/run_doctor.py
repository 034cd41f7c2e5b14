"""``sfu-gateway doctor`` in a process of its own, since it looks at its limits and its network."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from tests.gateway_process import ENVIRONMENT


@frozen
class Report:
    """The exit status and the findings."""

    status: int
    findings: list[dict[str, Any]]

    def about(self, subject: str) -> list[dict[str, Any]]:
        """The findings whose subject begins with this text."""
        return [finding for finding in self.findings if finding["subject"].startswith(subject)]

    def level_of(self, subject: str) -> str:
        """The level of the only such finding."""
        (finding,) = self.about(subject)
        return str(finding["level"])


def doctor(*options: str, prefix: Sequence[str] = (), before: Callable[[], None] | None = None) -> Report:
    """Run the command behind the words ``prefix``. ``before`` runs in the child."""
    command = [*prefix, sys.executable, "-m", "gateway", "doctor", "--json", *options]
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("SFU_")}
    done = subprocess.run(
        command, capture_output=True, timeout=40, check=False, preexec_fn=before, env=environment, text=True
    )
    assert done.stderr == "", done.stderr
    return Report(done.returncode, json.loads(done.stdout)["findings"])
