"""Benches of the gateway: scenarios and contestants for the synthetic clients of ``tools.light``."""


class BenchError(Exception):
    """A server failed or was too slow, so the bench has no figure. The text says why."""
