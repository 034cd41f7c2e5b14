"""What a light client counts of the packets that it receives."""

from __future__ import annotations

from typing import Final

import attrs
from attrs import define


@define
class PacketCounts:
    """Totals of one stream or of many.

    ``bytes`` is the size of the whole SRTP packets.  ``reordered`` packets came after a packet with a higher number.
    ``duplicated`` packets came again.  ``lost`` packets have not come yet, so a late packet lowers this count.

    A client asked for ``requested`` missing packets (NACK).  Of those, ``repaired`` came after all and ``given_up`` are
    not asked for any more.  ``retransmissions`` came in a stream of their own (RTX).  Of those, ``unneeded`` repeated
    packets that were not missing.  ``redundant`` missing packets came inside later ones (RED).  ``packets`` counts
    neither, ``bytes`` counts both.  ``superseded`` packets never came, and were not asked for any more once a key frame
    came.  ``key_frame_requests`` counts requests after failed repairs.  ``cut_off`` packets are the lost ones behind
    which no packet came, so nobody could ask for them.

    ``opened`` packets were chosen for decryption.  Of those, ``unopened`` could not be decrypted, ``unstamped`` had no
    stamp, and ``strange`` came from another source than the first of their stream.
    """

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    requested: int = 0
    repaired: int = 0
    given_up: int = 0
    superseded: int = 0
    retransmissions: int = 0
    unneeded: int = 0
    redundant: int = 0
    key_frame_requests: int = 0
    cut_off: int = 0
    opened: int = 0
    unopened: int = 0
    unstamped: int = 0
    strange: int = 0

    def add(self, other: PacketCounts) -> None:
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def missed(self) -> int:
        """Packets that did not come in their turn: they came late, in another packet, or never."""
        return self.reordered + self.lost_on_the_way

    @property
    def lost_on_the_way(self) -> int:
        """Packets that never came by themselves."""
        return self.lost + self.retransmissions - self.unneeded + self.redundant

    @property
    def lost_for_good(self) -> int:
        """Packets that a decoder misses: lost ones that a later packet showed and that no key frame superseded."""
        return self.lost - self.cut_off - self.superseded

    @property
    def loss(self) -> float:
        """The share of the expected packets that never came, 0 to 1."""
        expected = self.packets - self.duplicated + self.lost_on_the_way
        return self.lost / expected if expected else 0.0


_COUNTED: Final = tuple(attribute.name for attribute in attrs.fields(PacketCounts))
