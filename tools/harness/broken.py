"""The exception of a run that broke a guarantee."""


class GuaranteeBroken(AssertionError):
    """A run broke a guarantee.

    ``guarantee`` is its number in docs/protocol.md.  ``why`` says how it was broken, and ``line`` is the first line of
    the transcript or trace that broke it.
    """

    def __init__(self, guarantee: int, why: str, line: object = "") -> None:
        super().__init__(f"guarantee {guarantee} is broken: {why}\n  {line}".rstrip())
        self.guarantee = guarantee
        self.why = why
        self.line = line
