"""Numbers that go on without a gap for what we leave out, and keep the gaps of what the network lost."""

from collections import deque

_MAX_DROPOUT = 3000  # as RFC 3550 appendix A.1: a sender that skips more has begun anew
_MAX_RUNS = 256


class Numbering:
    """Maps the incoming numbers of one source (extended, so that they never wrap) to outgoing ones.

    While nothing is left out, both differ by a constant.  Each number left out lowers the constant by one for all
    that follow, so the past is a list of runs, each with its constant; a packet that comes late finds its own there.
    A number maps to the same one however often it is asked for, or never to any.
    """

    __slots__ = ("_first", "_next_in", "_offset", "_run_start", "_runs")

    def __init__(self, first: int | None = None) -> None:
        """``first`` is the first outgoing number; None takes the first incoming one."""
        self._first = first
        self._runs: deque[tuple[int, int, int]] | None = None  # start, end (not in it), offset; None: not begun
        self._next_in = self._run_start = self._offset = 0

    @property
    def next(self) -> int:
        """The outgoing number after the highest so far; only once begun."""
        return self._next_in + self._offset

    @property
    def offset(self) -> int:
        """Outgoing less incoming, for the newest; only once begun."""
        return self._offset

    def begin(self, number: int) -> None:
        """A new source, or one taken up again: ``number`` comes next, all before it is too late."""
        if self._runs is None:
            self._runs = deque(maxlen=_MAX_RUNS)
            self._offset = 0 if self._first is None else self._first - number
        else:
            self._offset = self.next - number
            self._runs.clear()
        self._next_in = self._run_start = number

    def take(self, number: int) -> int | None:
        """The outgoing number of a packet; None when it is too late for it or was left out."""
        if number >= self._next_in:
            if number - self._next_in >= _MAX_DROPOUT:
                self.begin(number)
            self._next_in = number + 1
            return number + self._offset
        if number >= self._run_start:
            return number + self._offset
        for start, end, offset in reversed(self._runs or ()):
            if number >= start:
                return number + offset if number < end else None
        return None

    def leave_out(self, number: int) -> None:
        """This one gets no number.  One that comes late keeps the one that was kept for it: a gap is harmless."""
        if number < self._next_in:
            return
        if number - self._next_in >= _MAX_DROPOUT:
            self.begin(number)
        if self._runs is not None and number > self._run_start:
            self._runs.append((self._run_start, number, self._offset))
        self._offset -= 1
        self._next_in = self._run_start = number + 1
