"""The process of an attacker.

    python -m tools.soak.attacker KIND HOST PORT MEDIA_HOST MEDIA_PORT [TOKEN]

It attacks until SIGTERM, and then writes a line of JSON: what it did, by kind.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter

import trio

from tools.soak.attacks import KINDS
from tools.soak.target import Target

#: The people whose calls are measured share a core with the attacker, and must not wait for it.
NICE = 10


async def run(kind: str, target: Target) -> Counter[str]:
    """Attack until SIGTERM."""
    counts: Counter[str] = Counter()
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(KINDS[kind].attack, target, counts)
            await anext(signals)
            nursery.cancel_scope.cancel()
    return counts


def main(arguments: list[str]) -> None:
    kind, host, port, media_host, media_port, *token = arguments
    os.nice(NICE)
    counts = trio.run(run, kind, Target(host, int(port), media_host, int(media_port), *token))
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
