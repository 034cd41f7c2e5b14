"""Benches of the gateway: scenarios and contestants for the synthetic clients of ``tools.light``."""


class BenchError(Exception):
    """A server did not do what a bench needs, or not in time, so there is no figure; the text says why."""
