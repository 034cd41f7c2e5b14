"""After ten thousand visits, a gateway holds no more than after the first thousand."""

import os
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

import pytest

from protocol.events import LeaveReason
from sfu.wire.certificate import generate_certificate
from tests.chaos.correctness import figures_of
from tests.chaos.visits import VISIT_ENDS, VisitEnd, Visitors
from tests.eventually import eventually
from tests.gateway_process import GatewayProcess, poll_until, run_gateway
from tools.light import Identity

SEED: Final = int(os.environ.get("CHAOS_SEED", "20261101"))
THOUSANDS: Final = 10
VISITS: Final = 100
MOST_GROWTH: Final = 4 * 1024
"""KiB.  Measured growth is 240 to 940, nearly all of it in the second and third thousand, while the allocator still
grows.  A leak of one kilobyte for each visit would make ten thousand."""


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.of(generate_certificate(datetime.now(UTC)))


async def test_ten_thousand_visits_leave_nothing_behind(identity: Identity, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log") as gateway:
        visitors = Visitors("127.0.0.1", gateway.port, identity, random.Random(SEED))
        async with visitors.watched() as tracked:
            files = gateway.open_files()
            memory = []
            for _ in range(THOUSANDS):
                await visitors.come(1000)
                poll_until(gateway.live, lambda live: live == figures_of(1), within=5)
                # The connection of the last request for metrics may not be closed yet.
                poll_until(gateway.open_files, lambda now: now == files, within=2)
                memory.append(resident(gateway))
            # The last events may be sent, but not yet read.
            await eventually(lambda: tracked.users == [tracked.own_id])
        print(f"seed {SEED}, KiB after each thousand: {memory}")
        assert memory[-1] - memory[0] < MOST_GROWTH
        gateway.becomes_empty()
        assert leaves(gateway) == visitors.expected_leaves + Counter(left=1)


@pytest.mark.parametrize("end", VISIT_ENDS)
async def test_the_others_learn_how_a_visit_ended(end: VisitEnd, identity: Identity, tmp_path: Path) -> None:
    with run_gateway(tmp_path / "log") as gateway:
        visitors = Visitors("127.0.0.1", gateway.port, identity, random.Random(SEED), ends=(end,))
        await visitors.come(VISITS)
        gateway.becomes_empty()
        assert leaves(gateway) == visitors.expected_leaves


def resident(gateway: GatewayProcess) -> int:
    """The gateway's resident memory, in KiB."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    return int(kib)


def leaves(gateway: GatewayProcess) -> Counter[str]:
    """Return the gateway's counts of leaves, by reason."""
    figures = gateway.metrics()
    counts = {reason: int(figures[f'sfu_leaves_total{{reason="{reason}"}}']) for reason in get_args(LeaveReason)}
    return +Counter(counts)
