"""Choosing the encoding of a producer that a consumer gets."""

from attrs import frozen


@frozen
class Layers:
    """A spatial layer and a temporal layer.  The lowest layer is 0.

    A spatial layer is a simulcast encoding.  Where a producer has one encoding, it is a layer inside this encoding.
    """

    spatial: int
    temporal: int


def choose_encoding(active: list[bool], bound: int | None, current: int) -> int:
    """The best encoding that flows and is not above ``bound``.

    If only encodings above the bound flow, the choice is encoding 0.  A sender with new bandwidth begins with its
    lowest encoding.  While no encoding flows, the choice stays at ``current``, or at ``bound`` if that is lower.
    """
    top = len(active) - 1 if bound is None else min(bound, len(active) - 1)
    if not any(active):
        return min(current, top)
    return next((encoding for encoding in range(top, -1, -1) if active[encoding]), 0)
