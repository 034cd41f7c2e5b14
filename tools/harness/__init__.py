"""The cancellation harness: a whole gateway in memory, under a virtual clock.

A scenario runs again and again, and each time a client dies at another checkpoint.  A judge then checks the guarantees
of docs/protocol.md.  docs/testing.md says how to use it.
"""

from tools.harness.broken import GuaranteeBroken
from tools.harness.checkpoints import Attempt, EveryCheckpoint, every_checkpoint, run_scenario
from tools.harness.client import HarnessClient
from tools.harness.deterministic import Stuck, run
from tools.harness.faults import Broken, Faults
from tools.harness.judge import judge
from tools.harness.leaks import Leak
from tools.harness.network import CLEAN, ROUGH, Conditions
from tools.harness.transcript import Gone, Refused
from tools.harness.ways import DEADLY, WAYS, Way
from tools.harness.world import World, open_world

__all__ = [
    "CLEAN",
    "DEADLY",
    "ROUGH",
    "WAYS",
    "Attempt",
    "Broken",
    "Conditions",
    "EveryCheckpoint",
    "Faults",
    "Gone",
    "GuaranteeBroken",
    "HarnessClient",
    "Leak",
    "Refused",
    "Stuck",
    "Way",
    "World",
    "every_checkpoint",
    "judge",
    "open_world",
    "run",
    "run_scenario",
]
