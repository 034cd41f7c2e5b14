"""Which of a producer's encodings a consumer is to get."""

from attrs import frozen


@frozen
class Layers:
    """A spatial (simulcast encoding) and a temporal layer, 0 the lowest."""

    spatial: int
    temporal: int


def choose_encoding(active: list[bool], bound: int | None, current: int) -> int:
    """The best encoding that flows and is not above ``bound``; the lowest when only better ones do.

    A sender that is short of bandwidth gives up its highest encodings first and comes back with the lowest.  One that
    sends nothing at all tells nothing, so ``current`` stays as far as the bound allows.
    """
    top = len(active) - 1 if bound is None else min(bound, len(active) - 1)
    if not any(active):
        return min(current, top)
    return next((encoding for encoding in range(top, -1, -1) if active[encoding]), 0)
