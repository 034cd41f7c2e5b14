"""This matching accepts, refuses and chooses as mediasoup's does.  Each difference is listed with its reason."""

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sfu.capabilities import ROUTER_CAPABILITIES
from sfu.parameters import MediaKind
from tests.ortc import differences
from tests.ortc.changes import ONE_OF_CAPABILITIES, ONE_OF_THE_STREAM
from tests.ortc.differences import Difference
from tests.ortc.edits import Change
from tests.ortc.mediasoup import Answer, Mediasoup, Ours, run_mediasoup
from tests.ortc.recorded import Json, to_wire

RECORDINGS = {
    path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "data").glob("*.json"))
}
STREAMS: dict[str, Json] = {
    f"{client} {name}": parameters
    for client, recording in RECORDINGS.items()
    for name, parameters in recording["produce"].items()
}
RECEIVERS: dict[str, Json] = {
    **{client: recording["rtpCapabilities"] for client, recording in RECORDINGS.items()},
    "router": json.loads(json.dumps(to_wire(ROUTER_CAPABILITIES))),
}
OF_H264 = [
    "packetization mode 0",
    "packetization mode left out",
    "no profile-level-id",
    "constrained high",
    "high",
    "main",
    "baseline",
    "H264 parameter sets",
]
OURS = Ours()


@pytest.fixture(scope="module")
def mediasoup() -> Iterator[Mediasoup]:
    with run_mediasoup() as oracle:
        yield oracle


def kind_of(stream: str) -> MediaKind:
    return "audio" if "opus" in stream else "video"


def changed(original: Json, *changes: Change) -> Json:
    copied = copy.deepcopy(original)
    for change in changes:
        change(copied)
    return copied


def difference(ours: Answer, theirs: Answer) -> str | None:
    if not ours.differs(theirs):
        return None
    if ours.accepted == theirs.accepted:
        return "chooses"
    return "accepts" if ours.accepted else "refuses"


def check_listed(found: Mapping[str, set[str]], listed: Mapping[str, Difference]) -> None:
    """Compare with the listed differences.  ``found`` has the kinds of differences by the name of their change."""
    assert {name: sorted(kinds) for name, kinds in found.items()} == {
        name: [known.ours] for name, known in listed.items()
    }


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_of_real_clients_match_as_in_mediasoup(mediasoup: Mediasoup, stream: str) -> None:
    ours = OURS.produce(kind_of(stream), STREAMS[stream])
    assert ours.accepted
    theirs = mediasoup.produce(kind_of(stream), STREAMS[stream])
    assert difference(ours, theirs) is None
    assert (ours.rtx, ours.nack) == (theirs.rtx, theirs.nack)


def test_every_changed_stream_matches_as_in_mediasoup_or_is_a_listed_difference(mediasoup: Mediasoup) -> None:
    found: dict[str, set[str]] = {}
    for name, change in ONE_OF_THE_STREAM.items():
        for stream, original in STREAMS.items():
            parameters = changed(original, change)
            ours, theirs = (one.produce(kind_of(stream), parameters) for one in (OURS, mediasoup))
            differs = difference(ours, theirs)
            if differs:
                found.setdefault(name, set()).add(differs)
            assert not ours.repairs_otherwise(theirs), (stream, name)
    check_listed(found, differences.STREAMS)


def test_all_changed_capabilities_match_as_in_mediasoup_or_are_a_listed_difference(mediasoup: Mediasoup) -> None:
    found: dict[str, set[str]] = {}
    for name, change in ONE_OF_CAPABILITIES.items():
        for original in RECEIVERS.values():
            capabilities = changed(original, change)
            differs = difference(OURS.capabilities(capabilities), mediasoup.capabilities(capabilities))
            if differs:
                found.setdefault(name, set()).add(differs)
    check_listed(found, differences.CAPABILITIES)


def test_consumers_get_the_codec_as_in_mediasoup_or_it_is_a_listed_difference(mediasoup: Mediasoup) -> None:
    """Every recorded stream, and H.264 in all its variants, to every recorded receiver with one change each."""
    variants = {name: changed(STREAMS["chromium h264"], ONE_OF_THE_STREAM[name]) for name in OF_H264}
    found: dict[str, set[str]] = {}
    for stream, parameters in {**STREAMS, **variants}.items():
        for name, change in ONE_OF_CAPABILITIES.items():
            for original in RECEIVERS.values():
                asked = (kind_of(stream), parameters, changed(original, change))
                differs = difference(OURS.consume(*asked), mediasoup.consume(*asked))
                explained = [key for key in (stream, name) if is_listed(key, differs)]
                # If both changes are listed, the difference may come from either, and proves nothing about one.
                if differs and len(explained) < 2:
                    found.setdefault(explained[0] if explained else name, set()).add(differs)
    check_listed(found, differences.CONSUMERS)


def test_receivers_get_retransmissions_as_in_mediasoup_or_it_is_a_listed_difference(mediasoup: Mediasoup) -> None:
    found = set()
    for stream, parameters in STREAMS.items():
        for name, change in ONE_OF_CAPABILITIES.items():
            for original in RECEIVERS.values():
                asked = (kind_of(stream), parameters, changed(original, change))
                ours, theirs = OURS.consume(*asked), mediasoup.consume(*asked)
                if ours.repairs_otherwise(theirs):
                    assert (ours.rtx, ours.nack) == ((), False)
                    assert theirs.rtx
                    found.add(name)
    assert found == set(differences.NOT_REPAIRED)


def is_listed(name: str, differs: str | None) -> bool:
    known = differences.CONSUMERS.get(name)
    return known is not None and known.ours == differs


NAMES = st.sampled_from(sorted(ONE_OF_THE_STREAM))


@pytest.fixture(scope="module")
def reasons() -> set[str]:
    """The messages of our listed refusals, of objects that mediasoup accepts."""
    names = [name for name, known in differences.STREAMS.items() if known.ours == "refuses"]
    answers = [
        OURS.produce(kind_of(stream), changed(original, ONE_OF_THE_STREAM[name]))
        for name in names
        for stream, original in STREAMS.items()
    ]
    return {answer.why for answer in answers if not answer.accepted}


@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.sampled_from(sorted(STREAMS)), st.lists(NAMES, min_size=2, max_size=3, unique=True))
def test_combined_changes_differ_only_for_the_reason_of_one_of_them(
    mediasoup: Mediasoup, reasons: set[str], stream: str, names: list[str]
) -> None:
    try:
        parameters = changed(STREAMS[stream], *(ONE_OF_THE_STREAM[name] for name in names))
    except (KeyError, IndexError, TypeError, AttributeError):
        assume(False)  # one change removed the field that another one changes
    ours, theirs = OURS.produce(kind_of(stream), parameters), mediasoup.produce(kind_of(stream), parameters)
    differs = difference(ours, theirs)
    known = {differences.STREAMS[name].ours for name in names if name in differences.STREAMS}
    assert differs is None or differs in known or (differs == "refuses" and ours.why in reasons), (names, ours, theirs)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(STREAMS)),
    st.sampled_from(sorted(RECEIVERS)),
    st.lists(st.sampled_from(sorted(ONE_OF_CAPABILITIES)), min_size=2, max_size=3, unique=True),
)
def test_combined_changes_of_a_receiver_differ_only_for_the_reason_of_one_of_them(
    mediasoup: Mediasoup, stream: str, receiver: str, names: list[str]
) -> None:
    try:
        capabilities = changed(RECEIVERS[receiver], *(ONE_OF_CAPABILITIES[name] for name in names))
    except (KeyError, IndexError, TypeError, AttributeError):
        assume(False)  # one change removed the field that another one changes
    asked = (kind_of(stream), STREAMS[stream], capabilities)
    ours, theirs = OURS.consume(*asked), mediasoup.consume(*asked)
    known = {differences.CONSUMERS[name].ours for name in names if name in differences.CONSUMERS}
    assert difference(ours, theirs) in {None, *known}, (names, ours, theirs)
