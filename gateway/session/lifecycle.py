"""The life of one client: it connects, joins, is served, leaves, and joins again or disconnects.

A session ends in the order of nesting in :func:`serve_sessions`. No other code keeps this order.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import sfu
from gateway.channel.channel import Channel, Seat
from gateway.channel.member import Member, format_instant
from gateway.connection import end_reasons
from gateway.connection.connection import Connection, open_connection
from gateway.connection.liveness import no_media
from gateway.connection.websocket import NotAcceptedError
from gateway.gateway import Gateway
from gateway.identity.tokens import TokenRefused
from gateway.session import handlers as handlers  # These two imports register the handlers.
from gateway.session import moderator_handlers as moderator_handlers
from gateway.session.admission import AdmittedJoin, NoRoom, check_identity, require_room
from gateway.session.dispatch import perform
from gateway.session.moving import arrival
from gateway.session.observer import MemberObserver
from gateway.session.request_source import RequestSource
from gateway.session.resume import resume_session
from gateway.session.session import Session
from gateway.session.watching import unwatch, watch
from protocol.errors import ErrorCode, RequestError
from protocol.requests import Join, Joined, Leave, Request, ResumeSession
from protocol.responses import Error, Ok
from protocol.vocabulary import Participant
from protocol.watching import Unwatch, Watch


async def serve_client(stream: trio.abc.Stream, *, gateway: Gateway, remote: str) -> None:
    """Serve one WebSocket client, from the upgrade request in ``stream`` to the end of the connection.

    Raises no ``Exception``.
    """
    with gateway.register_connection(remote) as connection:
        try:
            await serve_sessions(stream, gateway, connection)
        except* NotAcceptedError as refused:
            connection.log.info("client not accepted", why=_innermost(refused))
        except* Exception as errors:
            connection.fail(errors)


async def serve_sessions(stream: trio.abc.Stream, gateway: Gateway, connection: Connection) -> None:
    """Serve one session after the other.

    ``leave`` returns from :func:`serve_requests`. Every other end of a session cancels the connection's scope. Both
    ways leave the blocks from the inside out.
    """
    requests = RequestSource(connection)
    async with open_connection(stream, connection):  # exits last: says goodbye, closes the WebSocket
        while True:
            join = await next_join(gateway, connection, requests)
            try:
                async with (
                    take_seat(gateway, connection, join) as seat,  # exits second: leaves the list, notifies the others
                    open_media(gateway, seat) as session,  # exits first: closes consumers, producers, transports
                ):
                    leave = await serve_requests(session, requests)
                connection.respond(Ok(leave.id))  # the client may join again
            except RequestError as refused:
                connection.respond(Error.for_request(join.id, refused))


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


async def next_join(gateway: Gateway, connection: Connection, requests: RequestSource) -> AdmittedJoin:
    """Wait for a ``join`` that is allowed. End the connection when none comes in time.

    The time starts when the client connects, and again after each ``leave``. It stands still while the client watches
    channels.
    """
    with trio.CancelScope() as in_time:
        while True:
            watching = gateway.feed.subscription_of(connection) is not None
            if watching or in_time.deadline == math.inf:
                in_time.deadline = math.inf if watching else trio.current_time() + gateway.config.join_timeout
            request = await requests.next()
            if isinstance(request.data, ResumeSession):
                try_to_resume(gateway, connection, request)
            elif isinstance(request.data, Watch | Unwatch):
                answer_outside(gateway, connection, request.id, request.data)
            elif not isinstance(request.data, Join):
                refuse(connection, request, ErrorCode.NOT_JOINED, "join a channel first")
            elif gateway.draining:
                connection.end(end_reasons.DRAINING)
            elif not gateway.carries_media:
                connection.end(end_reasons.PLANE_STALLED)
            elif (admitted := try_to_admit(gateway, connection, request.id, request.data)) is not None:
                return admitted
    assert in_time.cancelled_caught
    connection.end(end_reasons.NO_JOIN)
    return await connection.wait_end()


def answer_outside(gateway: Gateway, connection: Connection, request_id: int, data: Watch | Unwatch) -> None:
    """Answer a ``watch`` or ``unwatch`` of a client that is in no channel."""
    response: Ok | Error
    try:
        if isinstance(data, Unwatch):
            response = Ok(request_id, unwatch(gateway, connection, data))
        else:
            response = Ok(request_id, watch(gateway, connection, gateway.rights_to_watch(data.token), data))
    except RequestError as refused:
        response = Error.for_request(request_id, refused)
    connection.respond(response)


def try_to_resume(gateway: Gateway, connection: Connection, request: Request) -> None:
    """Hand the socket over to the session that the client names, or refuse. Handing it over ends this connection's
    part: its scope is cancelled."""
    try:
        resume_session(gateway, connection, request)
    except RequestError as refused:
        connection.respond(Error.for_request(request.id, refused))


def try_to_admit(gateway: Gateway, connection: Connection, request_id: int, join: Join) -> AdmittedJoin | None:
    """Check who asks to join. Refuse and return None if the client may not. A wrong token, and a lack of room, also end
    the connection."""
    try:
        rights = check_identity(gateway, join)
        require_room(gateway, join, rights)
        return AdmittedJoin(request_id, join, rights)
    except TokenRefused as refused:
        connection.log.info("token refused", why=refused.why)
        error = RequestError(ErrorCode.UNAUTHENTICATED, str(refused))
        connection.respond(Error.for_request(request_id, error))
        connection.end(end_reasons.UNAUTHENTICATED)
    except NoRoom as refused:
        gateway.metrics.newcomer_refused()
        connection.respond(Error.for_request(request_id, refused))
        connection.end(end_reasons.NO_ROOM)
    except RequestError as refused:
        connection.respond(Error.for_request(request_id, refused))
    return None


@asynccontextmanager
async def take_seat(gateway: Gateway, connection: Connection, request: AdmittedJoin) -> AsyncIterator[Seat]:
    """Take the seat that a ``join`` asks for. Raises :exc:`RequestError` if that is impossible.

    Meanwhile the connection's log lines name the channel and the user.
    """
    join, rights = request.data, request.rights
    user_id = rights.user_id or join.user_id or gateway.new_id()
    participant = Participant(user_id, join.username, format_instant(gateway.utc_now()), join.metadata)
    member = Member(gateway.new_id(), connection, participant, join.session_secret or gateway.new_secret(), rights)

    def welcome(channel: Channel) -> None:
        connection.begin_session(request.id)
        gateway.feed.note_joined(connection, channel.id, gateway.journal.number)
        connection.respond(Ok(request.id, Joined(**arrival(gateway, channel, member))))

    before, connection.log = connection.log, connection.log.bind(channel=join.channel_id, user=user_id)
    try:
        async with gateway.channels.seat(join.channel_id, member, welcome) as seat:
            gateway.seats[member.session_id] = seat
            yield seat
    finally:
        had_seat = gateway.seats.pop(member.session_id, None)
        if had_seat is not None and (why := connection.end_reason) is not None and why.comes_back:
            gateway.lost_seats.add(had_seat.channel.id, user_id, member.secret, trio.current_time())
        connection.end_session()
        # The last log lines of an ending connection still name its user.
        connection.log = before if connection.end_reason is None else connection.log


@asynccontextmanager
async def open_media(gateway: Gateway, seat: Seat) -> AsyncIterator[Session]:
    """Open the media of a member. Yield the session, which the handlers of its requests get."""
    member = seat.member
    async with sfu.open_peer(gateway.router_of(seat.channel), MemberObserver(seat), name=member.user_id) as peer:
        member.peer = peer
        seat.channel.restraints.apply_to(member)
        member.connection.media_heard_at = peer.media_heard_at
        try:
            yield Session(gateway, seat, peer)
        finally:
            # The connection outlives the session and must not keep its media alive.
            member.connection.media_heard_at = no_media


async def serve_requests(session: Session, requests: RequestSource) -> Request:
    """Serve requests until ``leave``, and return that request. The caller answers it after the end of the session."""
    while True:
        request = await requests.next()
        if isinstance(request.data, Leave):
            session.member.leave()
            return request
        answer(session, request)


def answer(session: Session, request: Request) -> None:
    """Send exactly one response to a request, then the events that the request caused at its own client.

    An unexpected exception leaves the session in an unknown state. Reply ``internal`` with the log reference and end
    the session.
    """
    connection = session.member.connection
    connection.hold_events()
    response: Ok | Error
    try:
        response = Ok(request.id, perform(session, request.data))
    except RequestError as refused:
        session.count_limit(refused)
        response = Error.for_request(request.id, refused)
    except Exception as error:
        reference = connection.fail(error)
        fault = RequestError(ErrorCode.INTERNAL, "an internal error of the gateway", reference=reference)
        response = Error.for_request(request.id, fault)
    connection.respond(response)


def refuse(connection: Connection, request: Request, code: ErrorCode, message: str) -> None:
    """Answer a request with an error."""
    connection.respond(Error.for_request(request.id, RequestError(code, message)))
