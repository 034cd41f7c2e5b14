"""The rows of the table: networks, from a perfect one to a very bad one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from tools.bench.calls.conditions import Conditions
from tools.bench.calls.switch import Way
from tools.bench.calls.wire import RECEIVER, SENDER

Links = Mapping[tuple[int, Way], Conditions]


@frozen
class Aims:
    """What our gateway should reach: frames a second, seconds frozen, and the share of concealed sound.

    None means that there is no aim.
    """

    frames: float = 19.0
    frozen: float | None = 0.5
    concealed: float | None = 0.005


@frozen
class NetworkRow:
    """A network.  ``links`` has the conditions of those directions that are not perfect.

    ``label`` is a short title for plots.  ``seconds`` is how long this row's conditions last, or None for the
    time that the command line sets.  ``in_firefox`` says whether Firefox plays this row, too.
    """

    name: str
    label: str
    title: str
    links: Links
    aims: Aims | None = None
    seconds: float | None = None
    in_firefox: bool = False


def _to_receiver(conditions: Conditions) -> Links:
    return {(RECEIVER, "to"): conditions}


_FIVE: Final = Conditions(loss=0.05)
_FAR: Final = Conditions(delay=0.05)
_FIVE_AND_FAR: Final = Conditions(loss=0.05, delay=0.05)
_JITTER: Final = Conditions(delay=0.04, jitter=0.02, reorders=True, duplicates=0.01)

ROWS: Final[Sequence[NetworkRow]] = (
    NetworkRow("clean", "clean", "clean", {}, Aims(frozen=0.1, concealed=0.001), in_firefox=True),
    NetworkRow("to-5", "5 % down", "5 % loss to the receiver", _to_receiver(_FIVE), Aims(), in_firefox=True),
    NetworkRow("from-5", "5 % up", "5 % loss from the sender", {(SENDER, "from"): _FIVE}, Aims(), in_firefox=True),
    NetworkRow(
        "far-5",
        "5 % and far",
        "5 % loss to the receiver, and 50 ms each way",
        {(RECEIVER, "to"): _FIVE_AND_FAR, (RECEIVER, "from"): _FAR},
        Aims(frozen=0.8),
    ),
    NetworkRow(
        "both-5",
        "5 % both ways",
        "5 % loss and 50 ms each way",
        {(RECEIVER, "to"): _FIVE_AND_FAR, (RECEIVER, "from"): _FIVE_AND_FAR},
        Aims(frozen=None, concealed=None),
    ),
    NetworkRow(
        "to-10", "10 % down", "10 % loss to the receiver", _to_receiver(Conditions(loss=0.1)), Aims(18.0, None, None)
    ),
    NetworkRow(
        "to-20", "20 % for 5 s", "20 % loss to the receiver, for 5 s", _to_receiver(Conditions(loss=0.2)), seconds=5.0
    ),
    NetworkRow(
        "bursts", "bursts", "5 % loss to the receiver in bursts of 5", _to_receiver(Conditions(loss=0.05, burst=5.0))
    ),
    NetworkRow("jitter", "jitter", "40 ± 20 ms to the receiver, reordered, 1 % twice", _to_receiver(_JITTER), Aims()),
)
