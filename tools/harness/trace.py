"""What happened in one run, in order."""

from typing import Any

import trio
from attrs import define, field, frozen


@frozen
class Entry:
    """One thing that happened: ``what`` to ``whom`` (a client's name), at ``at`` seconds of virtual time.

    ``detail`` says more, by name.
    """

    order: int
    at: float
    what: str
    whom: str
    detail: dict[str, Any]

    def __str__(self) -> str:
        more = "".join(f" {name}={value}" for name, value in self.detail.items())
        return f"{self.order:5} {self.at:9.3f} s  {self.whom:10} {self.what}{more}"


@define(eq=False)
class Trace:
    """The entries of one run.  ``forwarded`` has, for each client's address and each SSRC sent there, the order of the
    last media packet: that there are no later ones is what counts."""

    entries: list[Entry] = field(factory=list)
    forwarded: dict[tuple[str, int], int] = field(factory=dict)
    _order: int = 0
    _begun: float | None = None

    def note(self, what: str, whom: str, **detail: Any) -> Entry:
        """Something happened now."""
        now = trio.current_time()
        if self._begun is None:
            self._begun = now
        entry = Entry(self.next(), now - self._begun, what, whom, detail)
        self.entries.append(entry)
        return entry

    def next(self) -> int:
        """The next number of the one order of everything."""
        self._order += 1
        return self._order

    def note_forwarded(self, to: str, ssrc: int) -> None:
        """A media packet with this SSRC left the gateway for the client ``to``."""
        self.forwarded[to, ssrc] = self.next()

    def of(self, what: str, whom: str | None = None) -> list[Entry]:
        """The entries of one kind, of one client or of all."""
        return [entry for entry in self.entries if entry.what == what and whom in (None, entry.whom)]

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries))
