"""What the report says about lost packets and their repair."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from protocol.vocabulary import MediaKind
from tools.light import PacketCounts
from tools.loadtest.plan import Plan
from tools.loadtest.quantities import show_seconds, show_share
from tools.loadtest.results import Results

Row = tuple[str, str, str]


@frozen
class Saying:
    """A sentence about the result of the repairs."""

    text: str
    good: bool


def loses(plan: Plan) -> bool:
    """Whether the clients lose media on purpose."""
    return bool(plan.lose_up or plan.lose_down)


def repair_rows(results: Results, kind: MediaKind) -> list[Row]:
    """Return rows about the requests of receivers and of the gateway, if there were any."""
    sent, got = results.total.sending[kind], results.total.received[kind]
    rows: list[Row] = []
    if got.requested:
        waited = results.conductor.totals.waited[kind]
        took = f"took {show_seconds(waited.quantile(0.5))}, p99 {show_seconds(waited.quantile(0.99))}"
        remark = f"of {got.requested} requested; {took}; given up {got.given_up}, not needed {got.unneeded}"
        if kind == "video":
            remark += f"; {got.key_frame_requests} key frames requested"
        rows.append((f"{kind} repaired", f"{got.repaired} packets", remark))
    if got.redundant:
        rows.append((f"{kind} recovered", f"{got.redundant} packets", "came inside later packets (RED)"))
    if sent.requested:
        rows.append((f"{kind} sent again", f"{sent.resent} packets", f"of {sent.requested} that the gateway requested"))
    return rows


def lost_rows(results: Results) -> list[Row]:
    """Return a row about the media that clients lost on purpose."""
    plan, traffic = results.conductor.plan, results.total.traffic
    if not loses(plan):
        return []
    up, down = show_share(plan.lose_up), show_share(plan.lose_down)
    remark = f"{traffic.lost_out} sent ({up}), {traffic.lost_in} received ({down}), RTCP included"
    return [("lost on purpose", f"{traffic.lost_in + traffic.lost_out} packets", remark)]


def gateway_rows(results: Results) -> list[Row]:
    """Return rows of the gateway's own figures about repairs, if it has such figures and repaired anything."""
    before, after = results.conductor.figures.get("before"), results.conductor.figures.get("after")
    if before is None or after is None:
        return []

    def grown(name: str) -> int:
        return (getattr(after, name) or 0) - (getattr(before, name) or 0)

    rows: list[Row] = []
    if asked := grown("asked_in"):
        remark = f"of {asked} that the gateway requested; given up {grown('given_up')}"
        rows.append(("gateway: came again", f"{grown('repaired')} packets", remark))
    if asked := grown("asked_out"):
        rows.append(("gateway: sent again", f"{grown('resent')} packets", f"of {asked} requests"))
    return rows


def sayings(results: Results) -> Iterator[Saying]:
    """Yield what became of the packets that clients missed, and which end does not take part in repairs."""
    plan = results.conductor.plan
    if not loses(plan) and not results.total.all_received.requested:
        return
    for kind in plan.kinds:
        sent, got = results.total.sending[kind], results.total.received[kind]
        if plan.lose_up and sent.packets and not sent.requested:
            yield Saying(f"{kind}: the gateway requested no lost packet of a sender", good=False)
        if got.packets:
            yield _fate(kind, got)


def _fate(kind: MediaKind, got: PacketCounts) -> Saying:
    came = got.missed - got.lost
    superseded = f"; {got.superseded} were from before a key frame and were not needed" if got.superseded else ""
    if got.requested and not got.repaired:
        what = f"{kind}: the gateway answers no NACK, {got.requested} requested packets did not come"
        return Saying(what, good=False)
    if not got.lost_for_good:
        return Saying(f"{kind}: no packet was lost for good, {came} missing ones came later{superseded}", good=True)
    share = show_share(got.lost_for_good / (got.packets + got.lost))
    missing = came + got.lost_for_good
    what = f"{kind}: {got.lost_for_good} packets ({share}) were lost for good, of {missing} missing ones{superseded}"
    return Saying(
        what if got.requested or got.redundant else f"{what}. The gateway offers receivers no retransmission",
        good=False,
    )
