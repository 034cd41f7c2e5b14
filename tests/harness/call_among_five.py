"""A call among five.  As a program it prints a hash of its trace, to compare with another process's."""

import hashlib
import sys

from tools.harness import World, run_scenario
from tools.harness.ways import reset


async def call_among_five(world: World) -> None:
    """All five hear each other, and one connection breaks."""
    _ada, ben, *_ = await world.call("ada", "ben", "cleo", "dan", "eve")
    reset(world, "ada")
    await ben.event("voice_state", type="user_left", userId="ada")


def trace(seed: int) -> str:
    return str(run_scenario(call_among_five, seed=seed, objects=False).trace)


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(hash_of(trace(1)))
