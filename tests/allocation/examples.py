"""Cameras and screens as the tests of the allocator see them."""

from sfu.allocation import Demand, Step
from sfu.layers import Layers


def step(spatial: int, rate: float, temporal: int = 255, frame_rate: float | None = 30) -> Step:
    return Step(Layers(spatial, temporal), rate, frame_rate)


CAMERA = (step(0, 60e3, 0, 7.5), step(0, 90e3, 1, 15), step(0, 150e3), step(1, 500e3), step(2, 2.5e6))
"""Three encodings: the lowest one with three temporal layers."""
PLAIN = (step(0, 1e6),)
"""One encoding without temporal layers."""


def camera(name: str, priority: int = 1, *, speaking: bool = False) -> Demand:
    return Demand(name, CAMERA, priority=priority, speaking=speaking)


def screen(name: str) -> Demand:
    return Demand(name, (step(0, 300e3, 0, 5), step(0, 1.2e6, frame_rate=15)), screen=True)
