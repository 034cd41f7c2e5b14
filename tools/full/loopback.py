"""ICE over loopback addresses.  This file alone reaches into aioice.

aioice gathers candidates on every address but loopback ones, and has no setting for it.  Here it gathers on loopback
alone, in the loops that ask for it; others, in this process too, are left as they are.
"""

import asyncio
from weakref import WeakSet

import aioice.ice

_loops: "WeakSet[asyncio.AbstractEventLoop]" = WeakSet()
_on_other_addresses = aioice.ice.get_host_addresses


def _get_host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    if asyncio.get_running_loop() not in _loops:
        others: list[str] = _on_other_addresses(use_ipv4, use_ipv6)
        return others
    return ["127.0.0.1"] * use_ipv4 + ["::1"] * use_ipv6


def use_loopback() -> None:
    """From now on, connections of the running loop gather candidates on loopback addresses and on no others."""
    _loops.add(asyncio.get_running_loop())
    aioice.ice.get_host_addresses = _get_host_addresses
