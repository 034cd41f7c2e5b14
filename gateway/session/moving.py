"""``move``: a session goes to another channel in one step, so that nobody sees its client in both, or in none."""

from collections.abc import Callable
from typing import Any

import trio
from attrs import evolve

import sfu
from gateway.channel.channel import Channel, Seat
from gateway.channel.member import Member, format_instant
from gateway.gateway import Gateway
from gateway.identity.rights import MODERATE
from gateway.session.admission import NoRoom
from gateway.session.session import Session
from protocol.errors import ErrorCode, RequestError
from protocol.moderation import ChannelChanged
from protocol.requests import Move, Moved
from sfu.moving import change_router, close_consumers

BROADCASTS = 2
"""A move tells the members of two channels."""


def move_session(session: Session, data: Move) -> Moved:
    """Move the session's own client, or on behalf of a moderator another member of its channel. Without a checkpoint:
    nobody else acts between the first check and the answer.

    Raises :exc:`RequestError` before anything has changed.
    """
    gateway, mover = session.gateway, session.member
    now = gateway.utc_now().timestamp()
    mover.rights.require_entry(data.channel_id, now)
    if data.user_id in (None, mover.user_id):
        session.spend_broadcast(BROADCASTS)
        return _move(gateway, session.seat, session.peer, data.channel_id)
    session.require(MODERATE)
    session.spend_broadcast(BROADCASTS)
    moved = move_participant(gateway, session.channel, data.user_id, data.channel_id, by=mover.user_id)
    # The moderator gets its own secrets, and none of the member.
    about_mover = arrival(gateway, gateway.channels.channels[data.channel_id], mover)
    return Moved(**{**about_mover, "user_id": moved.user_id}, media_kept=moved.media_kept)


def move_participant(gateway: Gateway, source: Channel, user_id: str, channel_id: str, *, by: str) -> Moved:
    """Move a member on behalf of the moderator ``by``, and tell the member.

    What it returns is for the member alone. Raises :exc:`RequestError` as :func:`move_session` does, and with
    ``not_found`` without such a member.
    """
    member = source.members.get(user_id)
    seat = None if member is None else gateway.seats.get(member.session_id)
    if member is None or seat is None or member.peer is None or member.is_ending:
        raise RequestError(ErrorCode.NOT_FOUND, "no such participant")
    member.rights.require_entry(channel_id, gateway.utc_now().timestamp())
    try:
        moved = _move(gateway, seat, member.peer, channel_id, is_told=True)
    except RequestError:
        raise
    except Exception as error:
        # An exception of the member's media ends the member, not the moderator.
        member.connection.fail(error)
        raise RequestError(ErrorCode.MEDIA_FAILED, "the participant could not be moved") from error
    gateway.channels.moderation.record_move(source.id, user_id, channel_id, by=by)
    return moved


def _move(gateway: Gateway, seat: Seat, peer: sfu.Peer, channel_id: str, *, is_told: bool = False) -> Moved:
    """Move the member of a seat. If it ``is_told``, it gets an event with what the answer to its own ``move`` has."""
    member = seat.member
    if channel_id == seat.channel.id:
        raise RequestError(ErrorCode.CONFLICT, "this participant is in that channel already", "data.channelId")
    with gateway.channels.place_for(seat, channel_id) as target:
        media_kept = target.plane == seat.channel.plane
        if not media_kept:
            # For the other plane, this client is a newcomer.
            if not gateway.has_room_on(target.plane):
                raise NoRoom
            member.came_at = trio.current_time()
        if media_kept:
            close_consumers(peer)
        else:
            change_router(peer, gateway.router_of(target))

        def welcome(channel: Channel) -> None:
            gateway.feed.note_joined(member.connection, channel.id, gateway.journal.number)
            if is_told:
                moved = ChannelChanged(**arrival(gateway, channel, member), media_kept=media_kept)
                member.connection.send_event(moved)

        _change_lists(gateway, seat, target, welcome)
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


def _change_lists(gateway: Gateway, seat: Seat, target: Channel, welcome: Callable[[Channel], None]) -> None:
    """Take the member off one list and put it on the other one. No packet passes any more between it and the channel
    that it leaves (promise 1).

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
    target.restraints.apply_to(member)
    target.admit(member, welcome)
    feed.tell_now(behind)
