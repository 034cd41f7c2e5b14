"""Makes steps of an exit go wrong inside the gateway: a step can raise, hang, or be slow."""

import math

import trio
from attrs import define, field

from tools.harness.steps import EXIT_STEPS, is_async


class Broken(Exception):
    """The exception of a step that was made to fail."""


@define(eq=False)
class Fault:
    """A fault of a step: it ``raises`` :exc:`Broken`, or takes ``seconds`` longer (infinity never ends).

    The fault happens before the step's own work, or ``after`` it.  ``times`` is how often it will still happen, and
    ``happened`` is how often it has happened.
    """

    raises: bool = False
    seconds: float = 0.0
    after: bool = False
    times: float = 1
    happened: int = 0


@define(eq=False)
class Faults:
    """The faults of a run.  Each belongs to a step, and to one client or (None) to any client.

    ``affected`` has the clients for whom a fault happened.  The gateway may close them for it.
    """

    affected: set[str] = field(factory=set)
    _faults: dict[tuple[str, str | None, bool], Fault] = field(factory=dict)

    def raises(self, step: str, client: str | None = None, *, after: bool = False, times: float = 1) -> Fault:
        """Make the step raise :exc:`Broken`.  Raises ``ValueError`` if there is no such step."""
        return self._add(step, client, Fault(raises=True, after=after, times=times))

    def hangs(self, step: str, client: str | None = None, *, after: bool = False, times: float = 1) -> Fault:
        """Make the step wait for ever. Raises ``ValueError`` in the same cases as :meth:`is_slow`."""
        return self.is_slow(step, math.inf, client, after=after, times=times)

    def is_slow(
        self, step: str, seconds: float, client: str | None = None, *, after: bool = False, times: float = 1
    ) -> Fault:
        """Make the step take ``seconds`` longer.

        Raises ``ValueError`` if there is no such step, or if it is synchronous and so cannot wait.
        """
        _check_exists(step)
        if not is_async(step):
            raise ValueError(f"{step!r} is synchronous, so it can raise but not wait")
        return self._add(step, client, Fault(seconds=seconds, after=after, times=times))

    def _add(self, step: str, client: str | None, fault: Fault) -> Fault:
        _check_exists(step)
        self._faults[step, client, fault.after] = fault
        return fault

    def take(self, step: str, client: str, *, after: bool) -> Fault | None:
        """The fault that is due for this step of this client, or None.  It then counts as happened.

        A fault for this client comes before a fault for any client.
        """
        for whose in (client, None):
            fault = self._faults.get((step, whose, after))
            if fault is not None and fault.times > 0:
                fault.times -= 1
                fault.happened += 1
                self.affected.add(client)
                return fault
        return None

    def apply(self, step: str, client: str, *, after: bool) -> None:
        """Let the fault of a synchronous step happen, if one is due."""
        if (fault := self.take(step, client, after=after)) is not None and fault.raises:
            raise Broken(f"the step {step!r} was made to fail")

    async def apply_async(self, step: str, client: str, *, after: bool) -> None:
        """Let the fault of an asynchronous step happen, if one is due."""
        if (fault := self.take(step, client, after=after)) is not None:
            if fault.raises:
                raise Broken(f"the step {step!r} was made to fail")
            await trio.sleep(fault.seconds)


def _check_exists(step: str) -> None:
    if step not in EXIT_STEPS:
        raise ValueError(f"there is no step {step!r}; there are: {', '.join(EXIT_STEPS)}")
