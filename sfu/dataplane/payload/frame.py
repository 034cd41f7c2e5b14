"""What one packet tells about its frame."""

from attrs import define


@define
class Frame:
    """``key``: a key frame begins here.  ``begins``: a frame begins here.

    ``temporal`` is the temporal layer, -1 where the packet names none.  ``sync``: this layer can be taken up at this
    frame.  ``switch_up``: so can every higher one, right after it.

    Only for VP8, whose frames are numbered on across switches: ``picture`` is the picture id (-1: none), which stands
    at ``picture_at`` in the packet with ``picture_bits`` bits (7 or 15); ``tl0`` is TL0PICIDX (-1: none), at
    ``tl0_at``.
    """

    key: bool = False
    begins: bool = False
    temporal: int = -1
    sync: bool = False
    switch_up: bool = False
    picture: int = -1
    picture_at: int = 0
    picture_bits: int = 0
    tl0: int = -1
    tl0_at: int = 0
