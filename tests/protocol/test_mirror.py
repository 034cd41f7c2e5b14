"""A mirror of the lists of channels: whatever comes twice, late or after a break, it shows the truth."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.events import MessageReceived, VoiceState
from protocol.mirror import Mirror
from protocol.vocabulary import Participant, Position
from protocol.watching import Watched, WatchedChannel


def person(name: str) -> Participant:
    return Participant(name, name.title(), "2026-11-01T09:30:00Z")


def change(kind: str, name: str, revision: int, epoch: int = 7, channel: str = "lobby") -> VoiceState:
    return VoiceState(
        type="user_joined" if kind == "joined" else "user_left",
        channel_id=channel,
        user_id=name,
        username=name.title(),
        epoch=epoch,
        revision=revision,
        participant=person(name),
        count=0,
        reason="left" if kind == "left" else None,
    )


def snapshot(*names: str, revision: int, epoch: int = 7, channel: str = "lobby") -> WatchedChannel:
    return WatchedChannel(channel, epoch, revision, tuple(map(person, names)), snapshot=True)


def test_a_snapshot_and_the_changes_after_it_make_the_list() -> None:
    mirror = Mirror()
    mirror.start(Watched((snapshot("ada", revision=1),)))
    assert mirror.take(change("joined", "ben", 2))
    assert mirror.take(change("left", "ada", 3))
    assert mirror.channels == {"lobby": {"ben": person("ben")}}
    assert mirror.after == {"lobby": Position(7, 3)}
    assert not mirror.take(MessageReceived("ben", "hello"))


def test_a_change_that_is_known_changes_nothing() -> None:
    mirror = Mirror()
    mirror.start(Watched((snapshot("ada", revision=5),)))
    assert not mirror.take(change("left", "ada", 5))
    assert not mirror.take(change("left", "ada", 9, epoch=6))
    assert mirror.channels["lobby"].keys() == {"ada"}


def test_missed_changes_are_applied_and_a_snapshot_replaces_everything() -> None:
    mirror = Mirror()
    mirror.start(Watched((snapshot("ada", revision=1), snapshot(revision=0, channel="studio"))))
    missed = (change("left", "ada", 2), change("joined", "ben", 1, epoch=8))
    mirror.start(Watched((WatchedChannel("lobby", events=missed),)))
    assert mirror.channels == {"lobby": {"ben": person("ben")}}
    mirror.start(Watched((snapshot("cleo", revision=1, epoch=9),)))
    assert mirror.channels["lobby"].keys() == {"cleo"}


def test_a_channel_that_the_answer_to_a_prefix_leaves_out_is_empty() -> None:
    mirror = Mirror()
    mirror.start(Watched((snapshot("ada", revision=1), snapshot("ben", revision=1, channel="other"))))
    mirror.start(Watched(()), prefix="lob")
    assert mirror.channels.keys() == mirror.after.keys() == {"other"}
    mirror.start(Watched(()), prefix="")
    assert mirror == Mirror()


@given(
    st.lists(st.sampled_from("abc"), max_size=20),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=20),
)
def test_a_reader_that_breaks_anywhere_ends_with_the_true_list(
    names: list[str], steps: list[tuple[int, int, bool]]
) -> None:
    present: set[str] = set()
    history = []
    for revision, name in enumerate(names, 1):
        history.append(change("left" if name in present else "joined", name, revision))
        present ^= {name}
    mirror, seen = Mirror(), 0
    mirror.start(Watched((snapshot(revision=0),)))
    for back, on, breaks in [*steps, (0, 0, True)]:
        # Some changes come again, some are new, and then perhaps the connection breaks.
        for event in history[max(0, seen - back) : seen + on]:
            mirror.take(event)
        seen = min(seen + on, len(history))
        if breaks:
            at = mirror.after["lobby"].revision
            assert at == seen
            mirror.start(Watched((WatchedChannel("lobby", events=tuple(history[at:])),)))
            seen = len(history)
    assert set(mirror.channels.get("lobby", {})) == present
