"""ICE over loopback addresses.  Only this file replaces a private function of aioice.

aioice gathers no candidates on loopback addresses, and no setting changes that.  Here it gathers them there alone,
in the event loops that ask for it.  Other loops of the process are not affected.
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
    """Let connections of the running loop gather candidates on loopback addresses only, from now on."""
    _loops.add(asyncio.get_running_loop())
    aioice.ice.get_host_addresses = _get_host_addresses
