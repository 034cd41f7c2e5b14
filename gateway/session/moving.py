"""``move``: a session goes to another channel in one step, so that nobody sees its client in both, or in none."""

from typing import Any

import trio
from attrs import evolve

from gateway.channel.channel import Channel, Seat
from gateway.channel.member import Member, format_instant
from gateway.gateway import Gateway
from gateway.session.admission import NoRoom
from gateway.session.session import Session
from protocol.errors import ErrorCode, RequestError
from protocol.requests import Move, Moved
from sfu.moving import change_router, close_consumers

BROADCASTS = 2
"""A move tells the members of two channels."""


def move_session(session: Session, data: Move) -> Moved:
    """Move the session's own client. Without a checkpoint: nobody else acts between the first check and the answer.

    Raises :exc:`RequestError` before anything has changed.
    """
    gateway, seat, member = session.gateway, session.seat, session.member
    if data.user_id not in (None, member.user_id):
        raise RequestError(ErrorCode.FORBIDDEN, "a client can only move itself", "data.userId")
    if data.channel_id == seat.channel.id:
        raise RequestError(ErrorCode.CONFLICT, "you are in this channel already", "data.channelId")
    member.rights.require_entry(data.channel_id, gateway.utc_now().timestamp())
    session.spend_broadcast(BROADCASTS)
    with gateway.channels.place_for(seat, data.channel_id) as target:
        media_kept = target.plane == seat.channel.plane
        if not media_kept:
            # For the other plane, this client is a newcomer.
            if not gateway.has_room_on(target.plane):
                raise NoRoom
            member.came_at = trio.current_time()
        _close_media(session, target, media_kept=media_kept)
        _change_lists(gateway, seat, target)
        return Moved(**arrival(gateway, target, member), media_kept=media_kept)


def arrival(gateway: Gateway, channel: Channel, member: Member) -> dict[str, Any]:
    """What a client needs to know that has just come into a channel: the fields of :class:`Joined`."""
    return {
        "session_id": member.session_id,
        "user_id": member.user_id,
        "channel_id": channel.id,
        "participants": channel.snapshot(),
        "revision": channel.revision,
        "router_rtp_capabilities": gateway.capabilities,
        "ice_servers": gateway.ice_servers_for(member.user_id),
        "ping_interval_ms": round(gateway.config.ping_interval * 1000),
        "session_secret": member.secret,
        "epoch": channel.epoch,
        "grants": member.rights.listed_grants,
    }


def _close_media(session: Session, target: Channel, *, media_kept: bool) -> None:
    """Let no packet pass between this session and the channel that it leaves (promise 1)."""
    if media_kept:
        close_consumers(session.peer)
    else:
        change_router(session.peer, session.gateway.router_of(target))


def _change_lists(gateway: Gateway, seat: Seat, target: Channel) -> None:
    """Take the member off one list and put it on the other one.

    A member of one channel that watches the other one also learns both changes right after each other, the leave first.
    """
    source, member, feed = seat.channel, seat.member, gateway.feed
    behind = [one.connection for one in source.members.values()]
    ahead = [one.connection for one in target.members.values()]
    feed.tell_now([*behind, *ahead])
    source.dismiss(member, target.id)
    feed.tell_now(ahead)
    seat.change_channel(target)
    connection = member.connection
    connection.log = connection.log.bind(channel=target.id)
    member.participant = evolve(member.participant, joined_at=format_instant(gateway.utc_now()))
    target.pause_muted(member)
    target.admit(member, lambda _: feed.note_joined(connection, target.id, gateway.journal.number))
    feed.tell_now(behind)
