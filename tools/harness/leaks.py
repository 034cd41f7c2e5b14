"""What is left of people who have gone: nothing may be."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import frozen

if TYPE_CHECKING:
    from tools.harness.world import World

_OURS = ("gateway.", "sfu.", "protocol.")


class Leak(AssertionError):
    """Something outlives those whose it was."""


@frozen
class Census:
    """How many there are of each kind of thing that a client's life makes, by name; ``series`` are those of /metrics.

    ``objects`` are those of our own classes by class, where they were counted.
    """

    counts: dict[str, int]
    series: frozenset[str]
    objects: Counter[str] | None = None


def take_census(world: World, *, objects: bool = False) -> Census:
    """Count what is there now; counting ``objects`` is dear, and needs :func:`forget_what_is_old` before it."""
    alive = objects_since() if objects else None
    gateway, port = world.gateway, world.port
    totals = port.context.plane.totals()
    lines = gateway.channels.metrics.render().decode().splitlines()
    return Census(
        {
            "trio tasks": trio.lowlevel.current_statistics().tasks_living,
            "file descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "connections": len(gateway.connections),
            "channels": len(gateway.channels.channels),
            "clients at the front door": world.server.front_door.clients,
            "requests at the front door": world.server.front_door.http_connections,
            "peers": len(port.directory.peers),
            "transports": len(port.directory.transports),
            "producers": len(port.directory.producers),
            "consumers": len(port.directory.consumers),
            "ICE usernames": len(port.directory.usernames),
            "transports in the packet path": totals.transports,
            "producers in the packet path": totals.producers,
            "routes": totals.routes,
            "paths": totals.paths,
        },
        frozenset(line.rpartition(" ")[0] for line in lines if line and not line.startswith("#")),
        alive,
    )


def check(now: Census, before: Census) -> None:
    """Raises :exc:`Leak`.  Series of /metrics may come to be once (an HTTP status), and not with a client's name."""
    more = {name: count for name, count in now.counts.items() if count > before.counts[name]}
    if more:
        raise Leak(f"there are more than before anybody came: {more}")
    if now.objects:
        raise Leak(f"objects that are alive and nobody's: {dict(now.objects)}")
    named = [one for one in now.series - before.series if not one.startswith("sfu_http_responses")]
    if named:
        raise Leak(f"series of /metrics that somebody has left behind: {named}")


def forget_what_is_old() -> None:
    """From here on :func:`objects_since` counts only what is new.  Undone by ``gc.unfreeze``."""
    gc.collect()
    gc.freeze()


def objects_since() -> Counter[str]:
    """Objects of our own classes that are new and still alive after a collection, by class."""
    gc.collect()
    names = (type(one) for one in gc.get_objects())
    return Counter(f"{cls.__module__}.{cls.__qualname__}" for cls in names if cls.__module__.startswith(_OURS))
