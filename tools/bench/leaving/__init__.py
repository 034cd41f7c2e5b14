"""What leaving costs, and how soon the others know: the parts of :mod:`tools.bench.leave`."""


class BenchError(Exception):
    """The gateway did not do what it promises, or not in time; then there is nothing to measure."""
