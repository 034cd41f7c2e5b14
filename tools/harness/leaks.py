"""Finds what clients leave behind after they have gone.  There must be nothing."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import frozen

if TYPE_CHECKING:
    from tools.harness.world import World

_OURS = ("gateway.", "sfu.", "protocol.")


class Leak(AssertionError):
    """Something outlives the client that it belonged to."""


@frozen
class ResourceCounts:
    """The number of resources of each kind that clients use.

    ``counts`` has the kinds by name.  ``series`` has the names of the time series in /metrics.  ``objects`` counts the
    objects of the gateway's own classes by class, or is None if they were not counted.
    """

    counts: dict[str, int]
    series: frozenset[str]
    objects: Counter[str] | None = None


def count_resources(world: World, *, objects: bool = False) -> ResourceCounts:
    """Count all resources now.  Counting ``objects`` is slow, and needs :func:`ignore_existing_objects` before it."""
    gateway, router = world.gateway, world.router
    alive = count_new_objects(gateway.journal.kept()) if objects else None
    totals = router.context.plane.totals()
    lines = gateway.channels.metrics.render().decode().splitlines()
    return ResourceCounts(
        {
            "trio tasks": trio.lowlevel.current_statistics().tasks_living,
            "file descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "connections": len(gateway.connections),
            "channels": len(gateway.channels.channels),
            "clients at the front door": world.server.front_door.clients,
            "half-open connections": len(world.server.front_door.half_open),
            "requests at the front door": world.server.front_door.http_connections,
            "peers": len(router.directory.peers),
            "transports": len(router.directory.transports),
            "producers": len(router.directory.producers),
            "consumers": len(router.directory.consumers),
            "transports in the packet path": totals.transports,
            "producers in the packet path": totals.producers,
            "routes": totals.routes,
            "paths": totals.paths,
            "ICE usernames": totals.usernames,
        },
        frozenset(line.rpartition(" ")[0] for line in lines if line and not line.startswith("#")),
        alive,
    )


def check(now: ResourceCounts, before: ResourceCounts) -> None:
    """Raises :exc:`Leak` if there is more than before.

    New series in /metrics are allowed only for HTTP statuses, which a run may be the first to produce.
    """
    more = {name: count for name, count in now.counts.items() if count > before.counts[name]}
    if more:
        raise Leak(f"there is more than before the first client: {more}")
    if now.objects:
        raise Leak(f"objects that outlive their client: {dict(now.objects)}")
    named = [one for one in now.series - before.series if not one.startswith("sfu_http_responses")]
    if named:
        raise Leak(f"series of /metrics that a client has left behind: {named}")


def ignore_existing_objects() -> None:
    """Make :func:`count_new_objects` ignore all objects that exist now.  ``gc.unfreeze`` undoes it."""
    gc.collect()
    gc.freeze()


def count_new_objects(kept: Iterable[object] = ()) -> Counter[str]:
    """Count by class the objects of the gateway's own classes that are new and survive a garbage collection.

    It leaves out those that are ``kept`` on purpose.
    """
    gc.collect()
    left_out = {id(one) for one in kept}
    names = (type(one) for one in gc.get_objects() if id(one) not in left_out)
    return Counter(f"{cls.__module__}.{cls.__qualname__}" for cls in names if cls.__module__.startswith(_OURS))
