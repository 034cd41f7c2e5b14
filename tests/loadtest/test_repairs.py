"""What the report says about lost packets and their repair."""

import random

import pytest

from tools.light import Histogram, NetworkLoss, PacketCounts
from tools.loadtest.cli import Options, make_plan
from tools.loadtest.conductor import Conductor
from tools.loadtest.gateway_figures import GatewayFigures, GatewayWatch
from tools.loadtest.messages import SentTotals
from tools.loadtest.plan import Plan
from tools.loadtest.repairs import gateway_rows, lost_rows, repair_rows, sayings
from tools.loadtest.results import Results, conclude
from tools.loadtest.thresholds import parse_thresholds
from tools.loadtest.totals import RunTotals


def results(plan: Plan, sent: SentTotals, got: PacketCounts) -> Results:
    run = Conductor(plan, GatewayWatch(None, None), lambda run, point: None)
    total = RunTotals(sending={"video": sent}, received={"video": got})
    return Results(run, total, {}, (), ())


LOSSY = Plan("ws://x/ws", "r", kinds=("video",), lose_up=0.05, lose_down=0.1)
SENT = SentTotals(packets=1000, requested=60, resent=58)


def said(plan: Plan, sent: SentTotals, got: PacketCounts) -> list[tuple[str, bool]]:
    return [(saying.text, saying.good) for saying in sayings(results(plan, sent, got))]


def test_lose_sets_both_directions_and_each_direction_can_differ() -> None:
    def shares(**options: str) -> tuple[float, float]:
        plan = make_plan("http://x", Options(**options))  # type: ignore[arg-type]
        return plan.lose_up, plan.lose_down

    assert shares() == (0, 0)
    assert shares(lose="5%") == (0.05, 0.05)
    assert shares(lose="5%", lose_up="0%") == (0, 0.05)
    assert shares(lose_down="0.02") == (0, 0.02)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (Options(lose="lots"), "--lose: "),
        (Options(lose_up="101%"), "--lose-up: "),
        (Options(lose_down="x"), "--lose-down: "),
    ],
)
def test_a_wrong_share_names_its_option(options: Options, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        make_plan("http://x", options)


def test_losses_follow_from_the_seed_and_directions_do_not_disturb_each_other() -> None:
    def lost(seed: int, other: int) -> list[bool]:
        loss = NetworkLoss(0.3, 0.3, random.Random(seed))
        receiving, sending = loss.receiving(), loss.sending()
        assert receiving is not None
        assert sending is not None
        for _ in range(other):
            sending.loses(0x80)
        return [receiving.loses(0x80) for _ in range(1000)]

    assert lost(1, 0) == lost(1, 500) != lost(2, 0)
    assert 200 < sum(lost(1, 0)) < 400
    assert NetworkLoss(0.0, 0.1, random.Random(1)).receiving() is None


@pytest.mark.parametrize("first", [0x00, 0x14, 0x40, 0xC0])
def test_only_media_is_lost(first: int) -> None:
    loss = NetworkLoss(1.0, 1.0, random.Random(1)).receiving()
    assert loss is not None
    assert not loss.loses(first)
    assert loss.loses(0x80)


def test_it_says_that_no_packet_was_lost_for_good() -> None:
    got = PacketCounts(packets=900, requested=100, repaired=100, retransmissions=101, unneeded=1, lost=2, cut_off=2)
    assert said(LOSSY, SENT, got) == [("video: no packet was lost for good, 100 missing ones came later", True)]
    got.lost, got.superseded = 5, 3
    [(text, good)] = said(LOSSY, SENT, got)
    assert text.endswith("100 missing ones came later; 3 were from before a key frame and were not needed")
    assert good


def test_it_says_how_many_packets_were_lost_for_good() -> None:
    got = PacketCounts(packets=990, requested=40, repaired=30, given_up=10, retransmissions=30, lost=10)
    assert said(LOSSY, SENT, got) == [("video: 10 packets (1.00 %) were lost for good, of 40 missing ones", False)]


def test_dead_nacks_are_said() -> None:
    got = PacketCounts(packets=900, requested=90, given_up=80, lost=100)
    assert said(LOSSY, SENT, got) == [("video: the gateway answers no NACK, 90 requested packets did not come", False)]


def test_a_gateway_that_neither_requests_nor_offers_repairs_is_said() -> None:
    assert said(LOSSY, SentTotals(packets=1000), PacketCounts(packets=900, lost=100)) == [
        ("video: the gateway requested no lost packet of a sender", False),
        (
            "video: 100 packets (10.00 %) were lost for good, of 100 missing ones. "
            "The gateway offers receivers no retransmission",
            False,
        ),
    ]


def test_without_loss_nothing_is_said() -> None:
    plan = Plan("ws://x/ws", "r", kinds=("video",))
    clean = results(plan, SentTotals(packets=1000), PacketCounts(packets=900))
    assert not list(sayings(clean))
    assert repair_rows(clean, "video") == lost_rows(clean) == gateway_rows(clean) == []


def test_rows_show_requests_repairs_and_their_times() -> None:
    got = PacketCounts(packets=900, requested=40, repaired=30, given_up=9, unneeded=1, key_frame_requests=2)
    found = results(LOSSY, SENT, got)
    found.conductor.totals.waited["video"] = Histogram.of([0.01] * 98 + [0.2] * 2)
    found.total.traffic.lost_in, found.total.traffic.lost_out = 90, 50
    assert repair_rows(found, "video") == [
        (
            "video repaired",
            "30 packets",
            "of 40 requested; took 9.98 ms, p99 198 ms; given up 9, not needed 1; 2 key frames requested",
        ),
        ("video sent again", "58 packets", "of 60 that the gateway requested"),
    ]
    got.redundant = 7
    assert repair_rows(found, "video")[1] == ("video recovered", "7 packets", "came inside later packets (RED)")
    assert lost_rows(found) == [
        ("lost on purpose", "140 packets", "50 sent (5.00 %), 90 received (10.00 %), RTCP included")
    ]


def test_rows_show_the_gateways_own_counts_since_the_beginning() -> None:
    found = results(LOSSY, SENT, PacketCounts())
    found.conductor.figures["before"] = GatewayFigures(0.0, asked_in=5, repaired=5, asked_out=1, resent=1)
    found.conductor.figures["after"] = GatewayFigures(
        9.0, asked_in=65, repaired=63, given_up=2, asked_out=101, resent=99
    )
    assert gateway_rows(found) == [
        ("gateway: came again", "58 packets", "of 60 that the gateway requested; given up 2"),
        ("gateway: sent again", "98 packets", "of 100 requests"),
    ]


def test_the_share_of_requests_in_vain_is_a_figure() -> None:
    run = Conductor(LOSSY, GatewayWatch(None, None), lambda run, point: None)
    thresholds = parse_thresholds({"unrepaired": "1%", "repair_p99": "250ms"})
    assert [verdict.value for verdict in conclude(run, thresholds).verdicts] == [None, None]
