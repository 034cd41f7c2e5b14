"""tools.full.loopback relies on private parts of aioice, which these tests watch."""

import asyncio
import inspect

import aioice.ice

from tools.full import loopback


def test_aioice_still_gets_its_addresses_from_the_patched_function() -> None:
    assert list(inspect.signature(loopback._on_other_addresses).parameters) == ["use_ipv4", "use_ipv6"]
    assert "get_host_addresses(" in inspect.getsource(aioice.ice.Connection)


def test_only_the_event_loop_that_asked_for_it_gets_loopback_addresses() -> None:
    async def addresses(asks: bool) -> list[str]:
        if asks:
            loopback.use_loopback()
        await asyncio.sleep(0)
        found: list[str] = aioice.ice.get_host_addresses(True, True)
        return found

    assert asyncio.run(addresses(asks=True)) == ["127.0.0.1", "::1"]
    assert "127.0.0.1" not in asyncio.run(addresses(asks=False))
