"""Resuming: a client that lost its socket, or changed its network, goes on with its session over a new WebSocket."""

import hmac
from typing import Final

import trio

import sfu
from gateway.channel.channel import Channel, Seat
from gateway.channel.member import Member
from gateway.connection.connection import Connection
from gateway.connection.outbox import Frame
from gateway.gateway import Gateway
from gateway.session.observer import demand_on
from gateway.session.statistics import TRANSPORT_STATES
from protocol.declarations import Event
from protocol.errors import ErrorCode, RequestError
from protocol.requests import ConsumerEntry, Request, ResumeSession, SessionResumed, TransportEntry
from protocol.responses import Ok

_NO_SECRET: Final = "0" * 22


def resume_session(gateway: Gateway, connection: Connection, request: Request) -> None:
    """Hand the socket of ``connection`` over to the connection of the session that ``request`` names.

    The newest socket wins. The session's former socket is aborted in the same step. Raises :exc:`RequestError` with
    ``not_found``, both for a wrong secret and for a session that has ended. Raises it with ``rate_limited`` after too
    many changes, since each may send the whole replay log.
    """
    data = request.data
    assert isinstance(data, ResumeSession)
    seat = _find_seat(gateway, data)
    channel, member = seat.channel, seat.member
    resumed, log = member.connection, member.connection.replay_log
    assert log is not None
    if not resumed.resume_budget.take(1, trio.current_time()):
        raise RequestError(ErrorCode.RATE_LIMITED, "this session was resumed too often in too short a time")
    last_event, last_answer = min(data.last_event, log.last_event), min(data.last_answer, log.last_answer)
    log.acknowledge(last_event, last_answer)
    missing = log.needed(last_event, last_answer)
    if missing is None:
        answer = _whole_state(channel, member, log.last_request, log.last_event)
    else:
        answer = SessionResumed(False, log.last_request, log.last_event, channel.epoch)
    frames = [Frame.of(Ok(request.id, answer)), *(missing or ())]
    # From here on nothing can fail, so the socket never belongs to nobody.
    if missing is None:
        log.start_over()
    attachment, received = connection.hand_over()
    gateway.forget_connection(connection)
    resumed.attach(attachment, frames, received)
    if missing is None:
        for event in (*channel.present_state(), *_present_state(member)):
            resumed.send_event(event)
    resumed.remote = connection.remote
    resumed.log = resumed.log.bind(remote=connection.remote)
    resumed.metrics.resumed(lost=missing is None)
    resumed.log.info("session resumed", lost=missing is None, sent_again=len(missing or ()))


def _find_seat(gateway: Gateway, data: ResumeSession) -> Seat:
    seat = gateway.seats.get(data.session_id)
    # Compare in any case, so that the time of the answer tells nobody which sessions exist.
    secret = _NO_SECRET if seat is None else seat.member.secret
    is_right = hmac.compare_digest(secret, data.session_secret)
    if seat is None or not is_right or seat.member.is_ending:
        raise RequestError(ErrorCode.NOT_FOUND, "no such session: it has ended, or the secret is wrong; join again")
    return seat


def _whole_state(channel: Channel, member: Member, last_request: int, last_event: int) -> SessionResumed:
    peer = member.peer
    transports = () if peer is None else tuple(peer.transports.values())
    consumers = () if peer is None else tuple(peer.consumers.values())
    return SessionResumed(
        lost=True,
        last_request=last_request,
        last_event=last_event,
        epoch=channel.epoch,
        participants=channel.snapshot(),
        revision=channel.revision,
        transports=tuple(TransportEntry(one.id, one.direction, TRANSPORT_STATES[one.state]) for one in transports),
        producers=member.participant.producers,
        consumers=tuple(_consumer_entry(channel, one) for one in consumers),
        channel_id=channel.id,
    )


def _present_state(member: Member) -> list[Event]:
    """The events that tell a client the state of which it may have lost the changes."""
    demands = (demand_on(publication.producer) for publication in member.publications.values())
    return [event for event in demands if event is not None]


def _consumer_entry(channel: Channel, consumer: sfu.Consumer) -> ConsumerEntry:
    owner, publication = channel.find_publication(consumer.producer.id)
    return ConsumerEntry(
        consumer_id=consumer.id,
        producer_id=consumer.producer.id,
        user_id=owner.user_id,
        kind=consumer.kind,
        source=publication.source,
        paused=consumer.paused,
        producer_paused=consumer.producer_paused,
        starved=consumer.starved,
    )
