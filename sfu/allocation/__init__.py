"""Shares out what the path to one receiver carries among the videos on it.

:mod:`~sfu.allocation.rates` measures what each layer of a producer costs.  :mod:`~sfu.allocation.ladder` makes the
steps of it from which a consumer can choose.  :mod:`~sfu.allocation.distribution` is the pure function from a budget
to a step for each consumer.  :class:`Allocator` adds the memory that keeps the choice steady.  Nothing here knows a
clock, a data plane or a consumer.
"""

from sfu.allocation.allocator import BUDGET_SHARE, Allocator, Allotment
from sfu.allocation.distribution import DEFAULT_PRIORITY, Demand
from sfu.allocation.ladder import NO_LIMIT, Ladder, Step, build_ladder
from sfu.allocation.rates import EncodingRates, LayerRates

__all__ = [
    "BUDGET_SHARE",
    "DEFAULT_PRIORITY",
    "NO_LIMIT",
    "Allocator",
    "Allotment",
    "Demand",
    "EncodingRates",
    "Ladder",
    "LayerRates",
    "Step",
    "build_ladder",
]
