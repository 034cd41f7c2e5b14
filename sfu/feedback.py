"""RTCP that a router sends to a client out of turn (RFC 4585 section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfu.wire import rtcp

if TYPE_CHECKING:
    from sfu.context import RouterContext


def feedback(context: RouterContext, packet: rtcp.RtcpPacket) -> bytes:
    """A compound packet with ``packet`` in it, as RFC 4585 section 3.1 asks for: behind a report and a CNAME."""
    return rtcp.encode([*rtcp.receiver_reports(context.rtcp_ssrc, ()), description(context), packet])


def description(context: RouterContext) -> rtcp.SourceDescription:
    """The router's CNAME (RFC 3550 section 6.5.1)."""
    return rtcp.SourceDescription(context.rtcp_ssrc, context.cname)
