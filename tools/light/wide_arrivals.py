"""Transport-wide feedback of a receiver: which packets of a transport came, and when.

As libwebrtc's receivers, it answers a tenth of a second after the first packet of a group.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from attrs import define, field

from tools.light.packet_meter import FEEDBACK_SSRC
from tools.light.wire.rtcp.packets import REFERENCE_TICKS, TICK, TransportWideFeedback
from tools.light.wire.rtp import EXTENSION_HEADER, FIXED_HEADER_SIZE, ONE_BYTE_PROFILE

#: The header extension with a transport-wide number of 16 bits.
WIDE_URI: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
#: Seconds from the first packet of a group to the feedback about the group.
FEEDBACK_SECONDS: Final = 0.1
#: Seconds for which an arrival is kept, so that feedback about later packets may repeat it.
_KEPT_SECONDS: Final = 0.5
#: Numbers in one packet of feedback.  Each takes at most three bytes, so that a packet fits into a datagram.
_MOST_NUMBERS: Final = 350
#: Numbers that a group may span.  After a longer jump the numbers begin anew.
_MOST_SPANNED: Final = 1024
_TICK_NANOSECONDS: Final = round(TICK * 1e9)


@define(eq=False)
class WideArrivals:
    """The arrivals at one transport.  ``extension_id`` is the id of the header extension.

    Times are nanoseconds of the monotonic clock.  ``due`` is the time of the next feedback in seconds, or infinity.
    ``reported`` counts the packets of feedback.
    """

    extension_id: int
    due: float = math.inf
    reported: int = 0
    _arrived: dict[int, int] = field(factory=dict)
    #: The first number that no feedback has covered, or a lower one that came late.
    _base: int = 0
    _highest: int = -1
    _ssrc: int = 0

    def take_untrusted(self, buffer: bytearray, size: int, arrived_at: Callable[[], int]) -> None:
        """Note the packet in the first ``size`` bytes of the buffer, if it has a number."""
        number = wide_number_untrusted(buffer, size, self.extension_id)
        if number is None:
            return
        at = arrived_at()
        number = self._unwrapped(number)
        self._ssrc = int.from_bytes(buffer[8:12])
        if number < self._base:
            if number in self._arrived or number <= self._highest - _MOST_SPANNED:
                return
            self._base = number
        self._arrived.setdefault(number, at)
        self._highest = max(self._highest, number)
        if self.due == math.inf:
            self.due = at / 1e9 + FEEDBACK_SECONDS

    def _unwrapped(self, number: int) -> int:
        """The number without the wraps after 16 bits, counted from the highest number so far."""
        if self._highest < 0:
            # One cycle up, so that a packet which the first one overtook has no negative number.
            self._base = number + 0x10000
            self._highest = self._base - 1
            return self._base
        step = (number - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if step > _MOST_SPANNED:
            self._base = self._highest + step
        return self._highest + step

    def take_feedback(self) -> Iterator[TransportWideFeedback]:
        """Yield the feedback about all packets since the last call."""
        newest = max(self._arrived.values(), default=0)
        for start in range(self._base, self._highest + 1, _MOST_NUMBERS):
            numbers = range(start, min(start + _MOST_NUMBERS, self._highest + 1))
            times = [self._arrived.get(number) for number in numbers]
            first = next((at for at in times if at is not None), None)
            if first is None:
                continue
            reference = first // _TICK_NANOSECONDS // REFERENCE_TICKS
            begin = reference * REFERENCE_TICKS
            arrivals = tuple(None if at is None else at // _TICK_NANOSECONDS - begin for at in times)
            base, count = start & 0xFFFF, self.reported & 0xFF
            yield TransportWideFeedback(FEEDBACK_SSRC, self._ssrc, base, count, reference & 0xFFFFFF, arrivals)
            self.reported += 1
        self._base, self.due = self._highest + 1, math.inf
        oldest = newest - _KEPT_SECONDS * 1e9
        self._arrived = {number: at for number, at in self._arrived.items() if at > oldest}


def wide_number_untrusted(buffer: bytearray, size: int, extension_id: int) -> int | None:
    """Return the transport-wide number in the header of an RTP packet (RFC 8285 section 4.2), or None.

    SRTP leaves headers in the clear.
    """
    if size < FIXED_HEADER_SIZE or not buffer[0] & 0x10:
        return None
    at = FIXED_HEADER_SIZE + 4 * (buffer[0] & 0x0F)
    if at + EXTENSION_HEADER.size > size:
        return None
    profile, words = EXTENSION_HEADER.unpack_from(buffer, at)
    at += EXTENSION_HEADER.size
    end = at + 4 * words
    if profile != ONE_BYTE_PROFILE or end > size:
        return None
    while at < end:
        head = buffer[at]
        length = (head & 0x0F) + 1 if head else 0
        if head >> 4 == extension_id and length == 2 and at + length < end:
            return buffer[at + 1] << 8 | buffer[at + 2]
        at += 1 + length
    return None
