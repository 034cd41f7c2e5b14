"""Moderators' decisions about single users of a channel: their muted sources, and whether they receive media."""

from collections.abc import Container
from typing import Any, get_args

import trio
from attrs import define, field

from gateway.channel.member import Member
from protocol.errors import ErrorCode, RequestError
from protocol.vocabulary import Source


@define(eq=False)
class Restraints:
    """The muted sources of each user, and the users that are ``deafened``.

    Both belong to the user id, so they stay while the user is away. :meth:`forget_absent` bounds their number.
    """

    mutes: dict[str, tuple[Source, ...]] = field(factory=dict)
    # A dictionary and not a set, because it keeps the order: the oldest decision is forgotten first.
    deafened: dict[str, bool] = field(factory=dict)

    def mute(self, user_id: str, source: Source) -> None:
        """Let a user send nothing of this source."""
        muted = {*self.mutes.get(user_id, ()), source}
        self.mutes[user_id] = tuple(name for name in get_args(Source) if name in muted)

    def unmute(self, user_id: str, source: Source) -> None:
        """Let a user send this source again. Raises :exc:`RequestError` if it is not muted."""
        if not self.is_muted(user_id, source):
            raise RequestError(ErrorCode.NOT_FOUND, "this source is not muted")
        left = tuple(name for name in self.mutes.pop(user_id) if name != source)
        if left:
            self.mutes[user_id] = left

    def deafen(self, user_id: str) -> None:
        """Let a user receive no media."""
        self.deafened[user_id] = True

    def undeafen(self, user_id: str) -> None:
        """Let a user receive media again. Raises :exc:`RequestError` if it is not deafened."""
        if not self.deafened.pop(user_id, False):
            raise RequestError(ErrorCode.NOT_FOUND, "this user is not deafened")

    def is_muted(self, user_id: str, source: Source) -> bool:
        """Whether a moderator muted this source of a user."""
        return source in self.mutes.get(user_id, ())

    def shown(self, user_id: str) -> dict[str, Any]:
        """The fields of the user's entry in the list. A field is None if there is no such decision."""
        return {"muted_sources": self.mutes.get(user_id), "deafened": self.deafened.get(user_id)}

    def forget_absent(self, members: Container[str], maximum: int) -> None:
        """Remember at most ``maximum`` muted users, and as many deafened ones. Beyond that, forget an absent one."""
        for users in (self.mutes, self.deafened):
            if len(users) > maximum and (absent := next((user for user in users if user not in members), None)):
                del users[absent]

    def apply_to(self, member: Member) -> None:
        """Stop the media that a member may not send or receive. Let a member that is not deafened receive again."""
        # A moderator's request may run this. An exception ends the session of the member, not of the moderator.
        for publication in list(member.publications.values()):
            producer = publication.producer
            if self.is_muted(member.user_id, publication.source) and not producer.closed:
                producer.guard(producer.set_paused, True, trio.current_time())
        if member.peer is not None:
            member.peer.set_deaf(member.user_id in self.deafened)
