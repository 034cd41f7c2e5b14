"""The record of one run: all steps, in order."""

from typing import Any

import trio
from attrs import define, field, frozen


@frozen
class TraceEntry:
    """One step of one client.  ``at`` is its time in virtual seconds since the first entry.

    ``order`` is its place in the order of all events.  ``client`` is the client's name.  ``detail`` holds details by
    name.  Most steps have two entries, whose names are ``begin: step`` and ``step``.
    """

    order: int
    at: float
    step: str
    client: str
    detail: dict[str, Any]

    def __str__(self) -> str:
        more = "".join(f" {name}={value}" for name, value in self.detail.items())
        return f"{self.order:5} {self.at:9.3f} s  {self.client:10} {self.step}{more}"


@define(eq=False)
class Trace:
    """The entries of one run.

    ``forwarded`` has, by client and SSRC, the place of the last media packet in the order of all events.  The judge
    checks that no packet came later than it may.
    """

    entries: list[TraceEntry] = field(factory=list)
    forwarded: dict[tuple[str, int], int] = field(factory=dict)
    _order: int = 0
    _begun: float | None = None

    def note(self, step: str, client: str, **detail: Any) -> TraceEntry:
        """Record a step that happens now."""
        now = trio.current_time()
        if self._begun is None:
            self._begun = now
        entry = TraceEntry(self.next(), now - self._begun, step, client, detail)
        self.entries.append(entry)
        return entry

    def next(self) -> int:
        """The next place in the order of all events."""
        self._order += 1
        return self._order

    def note_forwarded(self, to: str, ssrc: int) -> None:
        """Record that a media packet with this SSRC left the gateway for the client ``to``."""
        self.forwarded[to, ssrc] = self.next()

    def of(self, step: str, client: str | None = None) -> list[TraceEntry]:
        """The entries of one step, of one client or of all."""
        return [entry for entry in self.entries if entry.step == step and client in (None, entry.client)]

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries))
