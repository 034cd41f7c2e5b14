"""The emulated network in virtual time: losses, bursts, order, duplicates, rate and queue, and the switch itself."""

import itertools
from collections.abc import Sequence

import pytest

from tools.bench.calls import switch as switch_module
from tools.bench.calls.conditions import Conditions, Direction, is_udp
from tools.bench.calls.switch import Switch, address_of

FRAMES = 100_000
# Frames of 1,000 bytes: 10 a second on 80 kbit/s.
FRAME = bytes(1000)


def times(conditions: Conditions, count: int = FRAMES, every: float = 0.001, seed: int = 1) -> list[tuple[float, ...]]:
    """When each of ``count`` frames arrives, if one is sent every ``every`` seconds."""
    direction = Direction(seed, conditions)
    return [direction.pass_on(number * every, FRAME) for number in range(count)]


def bursts(arrivals: Sequence[tuple[float, ...]]) -> list[int]:
    """The lengths of all runs of lost frames."""
    return [len([*run]) for lost, run in itertools.groupby(arrivals, lambda one: not one) if lost]


def test_a_perfect_network_delays_nothing() -> None:
    assert times(Conditions(), 3) == [(0.0,), (0.001,), (0.002,)]


def test_random_losses_are_as_many_and_as_long_as_chance_makes_them() -> None:
    arrivals = times(Conditions(loss=0.05))
    lost = arrivals.count(())
    assert lost / FRAMES == pytest.approx(0.05, rel=0.05)
    assert lost / len(bursts(arrivals)) == pytest.approx(1 / 0.95, rel=0.02)


@pytest.mark.parametrize("burst", [2.0, 5.0, 20.0])
def test_bursts_lose_the_same_share_in_longer_runs(burst: float) -> None:
    arrivals = times(Conditions(loss=0.05, burst=burst))
    lost = arrivals.count(())
    assert lost / FRAMES == pytest.approx(0.05, rel=0.15)
    assert lost / len(bursts(arrivals)) == pytest.approx(burst, rel=0.1)


def test_the_same_seed_loses_the_same_frames_under_other_delays() -> None:
    lost = [[not one for one in times(Conditions(loss=0.1, jitter=jitter), 1000)] for jitter in (0.0, 0.02)]
    assert lost[0] == lost[1]
    assert lost[0] != [not one for one in times(Conditions(loss=0.1), 1000, seed=2)]


def test_jitter_keeps_the_order_of_frames_unless_they_may_overtake() -> None:
    kept, mixed = (
        [at for (at,) in times(Conditions(delay=0.05, jitter=0.02, reorders=reorders), 1000)]
        for reorders in (False, True)
    )
    assert kept == sorted(kept)
    assert mixed != sorted(mixed)
    taken = [at - number * 0.001 for number, at in enumerate(mixed)]
    assert 0.03 <= min(taken) < 0.032
    assert 0.068 < max(taken) <= 0.07


def test_jitter_above_the_delay_sends_no_frame_into_the_past() -> None:
    arrivals = times(Conditions(jitter=0.02, reorders=True), 1000)
    assert all(at >= number * 0.001 for number, (at,) in enumerate(arrivals))


def test_duplicates_arrive_twice() -> None:
    arrivals = times(Conditions(duplicates=0.01, delay=0.01, jitter=0.005, reorders=True))
    assert {len(one) for one in arrivals} == {1, 2}
    assert sum(len(one) for one in arrivals) / FRAMES == pytest.approx(1.01, abs=0.002)


def test_a_rate_spaces_frames_and_its_full_queue_loses_the_rest() -> None:
    # Ten frames at once, of which the queue takes those that wait for at most 0.2 s.
    arrivals = times(Conditions(rate=80_000, queue=0.2), 10, every=0.0)
    assert [round(at, 6) for one in arrivals for at in one] == [0.1, 0.2, 0.3]
    # At 20 frames a second half of them pass.
    arrivals = times(Conditions(rate=80_000, queue=0.2), 1000, every=0.05)
    assert len([one for one in arrivals if one]) == pytest.approx(500, abs=5)
    waited = [one[0] - number * 0.05 for number, one in enumerate(arrivals) if one]
    assert max(waited) <= 0.3 + 1e-6


def test_the_waits_in_a_queue_are_told_once_by_their_time() -> None:
    direction = Direction(1, Conditions(rate=80_000, queue=0.2))
    for at in (5.0, 5.0, 5.05, 5.05, 6.0):
        direction.pass_on(at, FRAME)
    # Two frames take 0.1 s each.  The third waits for what is left of that, and the fourth finds the queue full.
    waits = direction.take_waits()
    assert [(round(at, 6), round(wait, 6)) for at, wait in waits] == [(5.0, 0.15), (6.0, 0.0)]
    assert direction.counts.overflowed == 1
    assert direction.take_waits() == []


def test_a_rate_may_change_while_frames_are_in_the_queue() -> None:
    direction = Direction(1, Conditions(rate=80_000, queue=1.0))
    first = [direction.pass_on(0.0, FRAME)[0] for _ in range(3)]
    direction.conditions = Conditions()
    assert direction.pass_on(0.1, FRAME)[0] == first[-1]  # it overtakes none
    direction.conditions = Conditions(rate=8_000_000, queue=1.0)
    assert direction.pass_on(0.5, FRAME)[0] == pytest.approx(0.501)


def test_the_memory_of_waits_is_bounded() -> None:
    direction = Direction(1, Conditions(rate=8_000_000))
    for number in range(7000):
        direction.pass_on(number / 5, FRAME)
    assert len(direction.take_waits()) == 6000


def test_a_link_that_was_idle_owes_nothing() -> None:
    direction = Direction(1, Conditions(rate=80_000, queue=0.2))
    direction.pass_on(0.0, FRAME)
    assert direction.pass_on(10.0, FRAME)[0] == pytest.approx(10.1)


def frame_to(port: int, payload: bytes = b"\x08\x00") -> bytes:
    return address_of(port) + address_of(9) + payload


UDP_OVER_IPV4 = b"\x08\x00" + bytes(9) + b"\x11" + bytes(10)
TCP_OVER_IPV4 = b"\x08\x00" + bytes(9) + b"\x06" + bytes(10)
UDP_OVER_IPV6 = b"\x86\xdd" + bytes(6) + b"\x11" + bytes(33)
TCP_OVER_IPV6 = b"\x86\xdd" + bytes(6) + b"\x06" + bytes(33)


def test_blocked_udp_stops_both_versions_of_ip_and_lets_tcp_pass() -> None:
    direction = Direction(1, Conditions(udp=False))
    for payload, blocked in (
        (UDP_OVER_IPV4, True),
        (UDP_OVER_IPV6, True),
        (TCP_OVER_IPV4, False),
        (TCP_OVER_IPV6, False),
        (b"", False),
    ):
        frame = frame_to(0, payload)
        assert is_udp(frame) is blocked
        assert (direction.pass_on(0.0, frame) == ()) is blocked
    assert direction.counts.blocked == 2


def test_a_frame_passes_the_conditions_of_both_ends() -> None:
    switch = Switch(3, seed=1)
    switch.set("from", 0, Conditions(delay=0.02))
    switch.set("to", 2, Conditions(delay=0.03))
    switch.receive(1.0, 0, frame_to(2))
    assert switch.next_due() == pytest.approx(1.02)
    assert [*switch.due(1.04)] == []
    assert [*switch.due(1.05)] == [(2, frame_to(2))]
    assert switch.next_due() is None


def test_other_directions_are_untouched_and_frames_to_nowhere_are_discarded() -> None:
    switch = Switch(3, seed=1)
    switch.set("to", 2, Conditions(delay=0.03))
    switch.receive(1.0, 2, frame_to(0))
    switch.receive(1.0, 0, frame_to(8))
    switch.receive(1.0, 0, b"")
    assert [*switch.due(1.0)] == [(0, frame_to(0))]
    assert switch.unknown == 2


def test_frames_of_one_moment_keep_their_order() -> None:
    switch = Switch(2, seed=1)
    frames = [frame_to(1, bytes([number])) for number in range(50)]
    for frame in frames:
        switch.receive(1.0, 0, frame)
    assert [frame for _, frame in switch.due(1.0)] == frames


def test_the_switch_holds_a_bounded_number_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_module, "MOST_HELD", 10)
    switch = Switch(2, seed=1)
    switch.set("from", 0, Conditions(delay=60))
    for _ in range(15):
        switch.receive(1.0, 0, frame_to(1))
    assert switch.too_many == 5
    assert len([*switch.due(100.0)]) == 10


def test_the_switch_says_how_late_frames_left() -> None:
    switch = Switch(2, seed=1)
    for at, taken in ((1.0, 1.0), (2.0, 2.004), (3.0, 3.5)):
        switch.receive(at, 0, frame_to(1))
        assert len([*switch.due(taken)]) == 1
    assert switch.late == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
