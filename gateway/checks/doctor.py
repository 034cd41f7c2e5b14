"""Checks of the machine: can it serve with this configuration?

Each check has a bound, so the whole takes some seconds. It opens the ports for a moment, unless others have them, and
sends datagrams to itself, to name servers and to the STUN and TURN servers of the configuration. It changes nothing.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from gateway.checks import addresses, files, machine, ports, relays
from gateway.checks.findings import Finding, unknown
from gateway.config import Config

SECONDS: Final = 8.0
"""The longest time that one check may take. All checks run at the same time."""

Check = Callable[[Config], Awaitable[list[Finding]]]


def _at_once(check: Callable[[Config], list[Finding]]) -> Check:
    """A check that waits for nobody."""

    async def run(config: Config) -> list[Finding]:
        await trio.lowlevel.checkpoint()
        return check(config)

    return run


# A setting that names a file or a folder gets its check in gateway/checks/files.py.
CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("TCP ports", ports.check_tcp),
    ("media ports", ports.check_udp),
    ("addresses", addresses.check_announced),
    ("media to itself", addresses.check_loop),
    ("IPv6", addresses.check_ipv6),
    ("clock", machine.check_clock),
    ("open files", _at_once(machine.check_open_files)),
    ("socket buffers", _at_once(machine.check_buffers)),
    ("randomness", _at_once(machine.check_randomness)),
    ("packet path", _at_once(machine.check_packet_path)),
    ("files", _at_once(files.check_files)),
    ("STUN and TURN", relays.check_relays),
)


async def examine(config: Config, checks: tuple[tuple[str, Check], ...] = CHECKS) -> list[Finding]:
    """Run all checks, and return what they found, in the order of the checks."""
    found: list[list[Finding]] = [[] for _ in checks]

    async def run(place: int, subject: str, check: Check) -> None:
        with trio.move_on_after(SECONDS) as scope:
            found[place] = await check(config)
        if scope.cancelled_caught:
            found[place] = [unknown(subject, f"the check did not end within {SECONDS:g} s")]

    async with trio.open_nursery() as nursery:
        for place, (subject, check) in enumerate(checks):
            nursery.start_soon(run, place, subject, check)
    return [finding for findings in found for finding in findings]
