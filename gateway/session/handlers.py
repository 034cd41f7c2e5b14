"""The handlers of the requests inside a session: one small function for each type, without checkpoints.

So no object closes between its lookup and its use, and no request waits for ICE, DTLS or media. ``join``,
``resume_session`` and ``leave`` are missing here: they begin, continue and end a session
(:mod:`gateway.session.lifecycle`). Those of moderators are in :mod:`gateway.session.moderator_handlers`.
"""

import protocol.media
import sfu
import sfu.parameters
from gateway.channel.member import Publication
from gateway.connection.outbox import Frame
from gateway.identity.rights import MESSAGE, PUBLISH, SUBSCRIBE, WATCH
from gateway.media_objects import convert, parameters_of, request_errors
from gateway.session.admission import check_renewal
from gateway.session.dispatch import handler
from gateway.session.moving import move_session
from gateway.session.session import Session
from gateway.session.statistics import session_stats
from gateway.session.watching import unwatch as unwatch_channels
from gateway.session.watching import watch as watch_channels
from protocol.codec import encode_value
from protocol.errors import ErrorCode, RequestError
from protocol.events import MessageReceived
from protocol.moderation import RenewToken, TokenRenewed
from protocol.requests import (
    Close,
    ConnectTransport,
    Consume,
    Consumed,
    ConsumedMany,
    ConsumeMany,
    CreateTransport,
    Delivered,
    GetStats,
    IceRestarted,
    Move,
    Moved,
    NotConsumed,
    Pause,
    Ping,
    Produce,
    Produced,
    RestartIce,
    Resume,
    SendMessage,
    SetIceParameters,
    SetLayers,
    SetPriority,
    TransportCreated,
    Update,
)
from protocol.responses import Done, Encoded
from protocol.stats import Stats
from protocol.watching import Unwatch, Watch, Watched
from sfu.ortc import Receiver

MESSAGE_BYTES_PER_TOKEN = 65536
"""A message costs one token, plus one for every 64 KiB that it takes in all outboxes together."""

# Transports.


@handler(needs=lambda data: PUBLISH if data.direction == "send" else SUBSCRIBE)
def create_transport(session: Session, data: CreateTransport) -> TransportCreated:
    with request_errors("rtpCapabilities"):
        transport = session.peer.create_transport(data.direction, _capabilities(data.rtp_capabilities))
    return TransportCreated(
        transport.id,
        convert(transport.ice_parameters, protocol.media.IceParameters),
        tuple(convert(candidate, protocol.media.IceCandidate) for candidate in transport.ice_candidates),
        convert(transport.dtls_parameters, protocol.media.DtlsParameters),
    )


@handler(needs=None)
def connect_transport(session: Session, data: ConnectTransport) -> Done:
    session.require_own("transports", data.transport_id)
    parameters = convert(data.dtls_parameters, sfu.parameters.DtlsParameters)
    with request_errors("dtlsParameters"):
        session.peer.connect_transport(data.transport_id, parameters)
    _check_paths(session, data.transport_id, data.ice_parameters)
    return Done()


@handler(needs=None)
def restart_ice(session: Session, data: RestartIce) -> IceRestarted:
    session.require_own("transports", data.transport_id)
    with request_errors():
        restarted = session.peer.restart_ice(data.transport_id)
    _check_paths(session, data.transport_id, data.ice_parameters)
    return IceRestarted(convert(restarted, protocol.media.IceParameters))


@handler(needs=None)
def set_ice_parameters(session: Session, data: SetIceParameters) -> Done:
    session.require_own("transports", data.transport_id)
    _check_paths(session, data.transport_id, data.ice_parameters)
    return Done()


def _check_paths(session: Session, transport_id: str, given: protocol.media.IceCredentials | None) -> None:
    """Let only the client answer checks of its paths, if it told its own ICE credentials."""
    credentials = None if given is None else convert(given, sfu.parameters.IceCredentials)
    with request_errors():
        session.peer.transport(transport_id).check_paths_with(credentials)


# Producers and consumers.


@handler(needs=lambda data: f"{PUBLISH}:{data.source}")
def produce(session: Session, data: Produce) -> Produced:
    session.require_own("transports", data.transport_id)
    parameters = convert(data.rtp_parameters, sfu.parameters.RtpParameters)
    session.spend_broadcast()
    paused = data.paused or session.channel.restraints.is_muted(session.member.user_id, data.source)
    with request_errors("rtpParameters"):
        producer = session.peer.produce(
            data.transport_id, data.kind, parameters, paused=paused, screen=data.source == "screen"
        )
    session.member.publications[producer.id] = Publication(producer, data.source)
    session.channel.update(session.member)
    return Produced(producer.id)


@handler(needs=SUBSCRIBE)
def consume(session: Session, data: Consume) -> Consumed:
    session.require_own("transports", data.transport_id)
    return _consume(session, data, data.producer_id, _receiver(session, data))


@handler(needs=SUBSCRIBE)
def consume_many(session: Session, data: ConsumeMany) -> ConsumedMany:
    """Consume each producer for itself: that one of them has just closed must not cost the client the others."""
    session.require_own("transports", data.transport_id)
    receiver = _receiver(session, data)
    consumers, refused = [], []
    for producer_id in data.producer_ids:
        try:
            consumers.append(_consume(session, data, producer_id, receiver))
        except RequestError as error:
            session.count_refusal(error)
            refused.append(NotConsumed(producer_id, error.code, error.message))
    return ConsumedMany(tuple(refused), tuple(consumers))


def _receiver(session: Session, data: Consume | ConsumeMany) -> Receiver:
    with request_errors("rtpCapabilities"):
        return session.peer.receiver(data.transport_id, _capabilities(data.rtp_capabilities))


def _consume(
    session: Session,
    data: Consume | ConsumeMany,
    producer_id: str,
    receiver: Receiver,
) -> Consumed:
    owner, publication = session.channel.find_publication(producer_id)
    on_screen = publication.source in ("screen", "screen_audio")
    with request_errors("rtpCapabilities"):
        consumer = session.peer.consume(
            data.transport_id,
            publication.producer,
            receiver,
            stream=f"{owner.user_id}-screen" if on_screen else owner.user_id,
            paused=data.paused,
        )
    return Consumed(
        consumer_id=consumer.id,
        producer_id=producer_id,
        user_id=owner.user_id,
        kind=consumer.kind,
        source=publication.source,
        rtp_parameters=parameters_of(consumer),
        producer_paused=consumer.producer_paused,
    )


def _capabilities(given: protocol.media.RtpCapabilities | None) -> sfu.parameters.RtpCapabilities | None:
    return None if given is None else convert(given, sfu.parameters.RtpCapabilities)


@handler(needs=None)
def pause(session: Session, data: Pause) -> Done:
    return _set_paused(session, data, paused=True)


@handler(needs=None)
def resume(session: Session, data: Resume) -> Done:
    return _set_paused(session, data, paused=False)


def _set_paused(session: Session, data: Pause | Resume, *, paused: bool) -> Done:
    with request_errors():
        if data.producer_id is not None:
            session.require_own("producers", data.producer_id)
            if not paused:
                _require_not_muted(session, data.producer_id)
            session.spend_broadcast()
            session.peer.set_producer_paused(data.producer_id, paused)
            session.channel.update(session.member)
        elif data.consumer_id is not None:
            session.require_own("consumers", data.consumer_id)
            session.peer.set_consumer_paused(data.consumer_id, paused)
    return Done()


def _require_not_muted(session: Session, producer_id: str) -> None:
    publication = session.member.publications.get(producer_id)
    if publication is not None and session.channel.restraints.is_muted(session.member.user_id, publication.source):
        raise RequestError(ErrorCode.FORBIDDEN, f"a moderator muted your {publication.source}")


@handler(needs=None)
def close(session: Session, data: Close) -> Done:
    with request_errors():
        if data.consumer_id is not None:
            session.require_own("consumers", data.consumer_id)
            session.peer.close_consumer(data.consumer_id)
        elif data.producer_id is not None:
            session.require_own("producers", data.producer_id)
            session.peer.close_producer(data.producer_id)
        elif data.transport_id is not None:
            session.require_own("transports", data.transport_id)
            session.peer.close_transport(data.transport_id)
    session.channel.update(session.member)
    return Done()


@handler(needs=None)
def set_layers(session: Session, data: SetLayers) -> Done:
    session.require_own("consumers", data.consumer_id)
    with request_errors():
        session.peer.set_layers(data.consumer_id, data.spatial, data.temporal)
    return Done()


@handler(needs=None)
def set_priority(session: Session, data: SetPriority) -> Done:
    session.require_own("consumers", data.consumer_id)
    with request_errors():
        session.peer.set_priority(data.consumer_id, data.priority)
    return Done()


# Requests that concern no transport and no stream.


@handler(needs=None)
def move(session: Session, data: Move) -> Moved:
    return move_session(session, data)


@handler(needs=None)
def update(session: Session, data: Update) -> Done:
    size = 0 if data.metadata is None else len(encode_value(data.metadata))
    session.spend_broadcast(1 + size * len(session.channel.members) // MESSAGE_BYTES_PER_TOKEN)
    given = {"username": data.username, "metadata": data.metadata}
    session.channel.update(session.member, **{name: value for name, value in given.items() if value is not None})
    return Done()


@handler(needs=MESSAGE)
def message(session: Session, data: SendMessage) -> Delivered:
    """Send a message to all other members, or to the members in ``to``. A client may name itself."""
    members, sender = session.channel.members, session.member
    if data.to is None:
        receivers = [member for member in members.values() if member is not sender]
    else:
        receivers = [members[user_id] for user_id in dict.fromkeys(data.to) if user_id in members]
    frame = Frame.of(MessageReceived(sender.user_id, data.data))
    session.spend_broadcast(1 + frame.size * len(receivers) // MESSAGE_BYTES_PER_TOKEN)
    # What a member says must not endanger another one who reads slowly. `delivered` tells how many got it.
    limit = session.gateway.config.message_backlog_bytes
    ready = [receiver for receiver in receivers if receiver.connection.backlog < limit]
    if left_out := len(receivers) - len(ready):
        session.gateway.metrics.limits.reached("message_backlog_bytes", left_out)
    return Delivered(sum(receiver.send(frame) for receiver in ready))


@handler(needs=lambda data: WATCH if data.token is None else None)
def watch(session: Session, data: Watch) -> Encoded[Watched]:
    member, gateway = session.member, session.gateway
    rights = member.rights if data.token is None else gateway.rights_to_watch(data.token)
    return watch_channels(gateway, member.connection, rights, data)


@handler(needs=None)
def unwatch(session: Session, data: Unwatch) -> Done:
    return unwatch_channels(session.gateway, session.member.connection, data)


@handler(needs=None)
def ping(session: Session, data: Ping) -> Done:
    log = session.member.connection.replay_log
    if log is not None and (data.last_event is not None or data.last_answer is not None):
        log.acknowledge(data.last_event or 0, -1 if data.last_answer is None else data.last_answer)
    return Done()


@handler(needs=None)
def stats(session: Session, data: GetStats) -> Stats:
    return session_stats(session.peer, session.member)


@handler(needs=None)
def renew_token(session: Session, data: RenewToken) -> TokenRenewed:
    """Give the client the rights of a newer token. It needs no grant, because an expired token grants nothing."""
    rights = check_renewal(session.gateway, session.member.rights, session.channel.id, data.token)
    session.member.rights = rights
    return TokenRenewed(rights.listed_grants)
