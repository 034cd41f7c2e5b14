"""Forty client processes are killed, stopped, cut off and brought back for a minute, without a ghost.

Meanwhile each of them changes the socket of its session at random moments.

    CHAOS_SEED=7 CHAOS_SECONDS=600 pytest tests/chaos/test_chaos.py

The same seed draws the same actions, but their times depend on the machine.  A failure lists the last actions.
"""

import os
import random
import time
from pathlib import Path

from tests.chaos.correctness import settle
from tests.chaos.crowd import ClientProcess, open_crowd
from tests.chaos.network import Network
from tests.chaos.storm import Storm
from tests.gateway_process import run_gateway

CLIENTS = 40
SPARED = 2
SEED = int(os.environ.get("CHAOS_SEED", "20261101"))
SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
STORM = 4.0

PING_INTERVAL, PING_TIMEOUT = 1, 2
"""Seconds.  With the defaults, a silent client is gone after ten seconds, so a minute has time for only four checks.
With shorter times, a client that a busy machine does not run for a second would count as dead."""
SETTLED_WITHIN = 20.0
"""Seconds.  The gateway removes a silent client after three seconds.  A client that was cut off notices this after
three seconds, too.  It then tries to reconnect, and each attempt takes up to a second.  If half of the clients do so at
once, that takes two to four seconds on an idle machine, and seven at a load of 14.  Another test measures how soon the
gateway notices a single silent client."""
STARTED_WITHIN = 60.0
"""Seconds for the start of forty clients with eighty handshakes.  The gateway promises no time for this, so the limit
only ends a test that hangs."""


async def test_after_a_storm_every_list_is_correct(network: Network, tmp_path: Path) -> None:
    options = (*network.options, "--ping-interval", str(PING_INTERVAL), "--ping-timeout", str(PING_TIMEOUT))
    with run_gateway(tmp_path / "log", *options) as gateway:
        async with open_crowd(gateway.websocket_url, tmp_path, network) as crowd:
            print(f"seed {SEED}, places that can be cut off: {len(network.places)}")  # shown if the test fails
            for client in forty(network):
                crowd.clients[client.user] = client
                crowd.start(client)
            took = [await settle(crowd, gateway, STARTED_WITHIN)]
            storm = Storm(crowd, random.Random(SEED), frozenset(list(crowd.clients)[:SPARED]))
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                await storm.run(STORM)
                took.append(await settle(crowd, gateway, SETTLED_WITHIN))
            moves = sum(count for name, count in gateway.metrics().items() if name.startswith("sfu_resumes_total"))
            assert moves > CLIENTS
            print(
                f"{moves:.0f} changes of sockets, settled after",
                *(f"{seconds:.1f}" for seconds in took),
                f"s; {dict(crowd.count)}, {crowd.reports} reports",
            )
        gateway.becomes_empty()


def forty(network: Network) -> list[ClientProcess]:
    """Forty clients.  The first ones live beside the gateway, the others in equal groups behind links to cut."""
    homes = [None, *range(len(network.places))]
    return [ClientProcess(f"c{number:02}", homes[number * len(homes) // CLIENTS]) for number in range(CLIENTS)]
