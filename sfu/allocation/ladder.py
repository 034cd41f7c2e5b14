"""The steps of one video, from the cheapest to the best."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from attrs import evolve, frozen

from sfu.allocation.rates import LayerRates
from sfu.layers import Layers

ALL_TEMPORAL: Final = 255
NO_LIMIT: Final = Layers(255, ALL_TEMPORAL)
"""Leaves nothing out."""
SMOOTH: Final = 14.5
"""Frames a second from which on a picture moves smoothly: 15, less what a measurement may miss."""


@frozen
class Step:
    """A choice of layers: everything up to ``layers``, which takes ``rate`` bits a second.

    ``frame_rate`` is in frames a second, or None while nothing was measured.
    """

    layers: Layers
    rate: float
    frame_rate: float | None = None


Ladder = tuple[Step, ...]
"""Steps with rising layers, and with rates that do not fall."""


def build_ladder(
    encodings: Sequence[LayerRates | None], bounds: Layers | None, *, screen: bool, inside: bool = False
) -> Ladder:
    """The steps within a consumer's ``bounds``; ``encodings`` holds None where nothing flows.

    ``inside``: these are the spatial layers inside one encoding.  Then the highest one leaves nothing out, so that a
    layer that begins later is not cut off.

    A camera's larger pictures are offered at 15 frames a second or more: a smaller picture that moves is better than a
    large one that jerks.  A shared screen may have any frame rate, since people read it.  A step counts as at least as
    expensive as those below it.

    Without an encoding that flows within the bounds there is no step.
    """
    bounds = bounds or NO_LIMIT
    steps: list[Step] = []
    within = encodings[: bounds.spatial + 1]
    for index, rates in enumerate(within):
        if rates is not None:
            spatial = NO_LIMIT.spatial if inside and index == len(within) - 1 else index
            smooth_only = bool(steps) and not screen
            steps += _temporal_steps(spatial, rates, bounds.temporal, smooth_only=smooth_only)
    highest = accumulate((step.rate for step in steps), max)
    return tuple(evolve(step, rate=rate) for step, rate in zip(steps, highest, strict=True))


def _temporal_steps(spatial: int, rates: LayerRates, bound: int, *, smooth_only: bool) -> list[Step]:
    top = min(bound, len(rates.rates) - 1)
    steps = []
    for temporal in range(top + 1):
        frame_rate = rates.frame_rates[temporal] if rates.frame_rates else None
        is_top = temporal == top
        if is_top or not smooth_only or (frame_rate is not None and frame_rate >= SMOOTH):
            # The top step leaves nothing out, so that a layer that begins later is not cut off.
            layers = Layers(spatial, ALL_TEMPORAL if is_top else temporal)
            steps.append(Step(layers, rates.rates[temporal], frame_rate))
    return steps
