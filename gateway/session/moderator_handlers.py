"""The handlers of the requests of moderators.

:mod:`gateway.channel.moderation` serves them, and the same decisions over HTTP.
"""

from gateway.identity.rights import MODERATE
from gateway.session.dispatch import handler
from gateway.session.session import Session
from protocol.moderation import (
    Deafen,
    EndChannel,
    LimitMembers,
    LockChannel,
    Mute,
    ReadmitParticipant,
    RemoveParticipant,
    Undeafen,
    UnlockChannel,
    Unmute,
)
from protocol.responses import Done


@handler(needs=MODERATE)
def remove_participant(session: Session, data: RemoveParticipant) -> Done:
    session.spend_broadcast()
    session.moderation.remove(session.channel.id, data.user_id, data.seconds, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def readmit_participant(session: Session, data: ReadmitParticipant) -> Done:
    session.spend_broadcast()
    session.moderation.readmit(session.channel.id, data.user_id, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def mute(session: Session, data: Mute) -> Done:
    session.spend_broadcast()
    session.moderation.mute(session.channel.id, data.user_id, data.source, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def unmute(session: Session, data: Unmute) -> Done:
    session.spend_broadcast()
    session.moderation.unmute(session.channel.id, data.user_id, data.source, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def deafen(session: Session, data: Deafen) -> Done:
    session.spend_broadcast()
    session.moderation.deafen(session.channel.id, data.user_id, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def undeafen(session: Session, data: Undeafen) -> Done:
    session.spend_broadcast()
    session.moderation.undeafen(session.channel.id, data.user_id, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def lock_channel(session: Session, data: LockChannel) -> Done:
    session.spend_broadcast()
    session.moderation.lock(session.channel.id, data.seconds, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def unlock_channel(session: Session, data: UnlockChannel) -> Done:
    session.spend_broadcast()
    session.moderation.unlock(session.channel.id, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def limit_members(session: Session, data: LimitMembers) -> Done:
    session.spend_broadcast()
    if data.max_members is None:
        session.moderation.end_limit(session.channel.id, by=session.member.user_id)
    else:
        session.moderation.limit(session.channel.id, data.max_members, data.seconds, by=session.member.user_id)
    return Done()


@handler(needs=MODERATE)
def end_channel(session: Session, data: EndChannel) -> Done:
    session.moderation.end(session.channel.id, by=session.member.user_id)
    return Done()
