"""What can be made to go wrong inside the gateway: any step of any exit can raise, hang, or be slow."""

import math

import trio
from attrs import define, field

from tools.harness.steps import EXIT_STEPS, is_async


class Broken(Exception):
    """What a step raises that was made to."""


@define(eq=False)
class Fault:
    """What becomes of a step: it takes ``seconds`` longer (infinity: for ever), or it ``raises`` :exc:`Broken`.

    It comes instead of the step's own work (before it, where it is only slow), or ``after`` it.  ``times`` is how
    often it will still happen, ``happened`` how often it has.
    """

    raises: bool = False
    seconds: float = 0.0
    after: bool = False
    times: float = 1
    happened: int = 0


@define(eq=False)
class Faults:
    """Which steps go wrong, for one client or (``whom`` None) for whoever takes them.

    ``struck`` are the clients for whom one did: they may be closed for it.
    """

    struck: set[str] = field(factory=set)
    _faults: dict[tuple[str, str | None, bool], Fault] = field(factory=dict)

    def raises(self, step: str, whom: str | None = None, *, after: bool = False, times: float = 1) -> Fault:
        """The step raises :exc:`Broken`."""
        return self._add(step, whom, Fault(raises=True, after=after, times=times))

    def hangs(self, step: str, whom: str | None = None, *, after: bool = False, times: float = 1) -> Fault:
        """The step does not come to an end by itself."""
        return self.is_slow(step, math.inf, whom, after=after, times=times)

    def is_slow(
        self, step: str, seconds: float, whom: str | None = None, *, after: bool = False, times: float = 1
    ) -> Fault:
        """The step takes so many seconds longer.  ``ValueError`` for one that is synchronous and cannot wait."""
        _check_exists(step)
        if not is_async(step):
            raise ValueError(f"{step!r} is synchronous: it takes no time, and can only raise")
        return self._add(step, whom, Fault(seconds=seconds, after=after, times=times))

    def _add(self, step: str, whom: str | None, fault: Fault) -> Fault:
        _check_exists(step)
        self._faults[step, whom, fault.after] = fault
        return fault

    def take(self, step: str, whom: str, *, after: bool) -> Fault | None:
        """The fault that is due here, one for this client before one for whoever comes; it counts as happened."""
        for whose in (whom, None):
            fault = self._faults.get((step, whose, after))
            if fault is not None and fault.times > 0:
                fault.times -= 1
                fault.happened += 1
                self.struck.add(whom)
                return fault
        return None

    def strike(self, step: str, whom: str, *, after: bool) -> None:
        """Let the fault of a synchronous step happen, if there is one."""
        if (fault := self.take(step, whom, after=after)) is not None and fault.raises:
            raise Broken(f"{step}: made to fail")

    async def strike_async(self, step: str, whom: str, *, after: bool) -> None:
        """The same for an asynchronous one."""
        if (fault := self.take(step, whom, after=after)) is not None:
            if fault.raises:
                raise Broken(f"{step}: made to fail")
            await trio.sleep(fault.seconds)


def _check_exists(step: str) -> None:
    if step not in EXIT_STEPS:
        raise ValueError(f"there is no step {step!r}; there are: {', '.join(EXIT_STEPS)}")
