"""The list of mutations, in the order of the guarantees."""

from typing import Final

from tools.mutations.catalogue import (
    bounded,
    isolation,
    moderated,
    order,
    outside,
    priced,
    resuming,
    revision,
    speed,
    twice,
)
from tools.mutations.mutation import Mutation

MUTATIONS: Final[tuple[Mutation, ...]] = (
    *order.MUTATIONS,
    *twice.MUTATIONS,
    *revision.MUTATIONS,
    *bounded.MUTATIONS,
    *isolation.MUTATIONS,
    *priced.MUTATIONS,
    *speed.MUTATIONS,
    *resuming.MUTATIONS,
    *moderated.MUTATIONS,
    *outside.MUTATIONS,
)
