"""The requests of moderators, as methods of the Python client."""

from typing import Protocol, TypeVar

from protocol.declarations import OkData, RequestData
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
from protocol.vocabulary import Source

A = TypeVar("A", bound=OkData)


class Moderator(Protocol):
    """What a client may do whose token grants ``moderate``. Each request raises what :meth:`request` raises."""

    async def request(self, data: RequestData[A]) -> A:
        """Send a request and return its answer."""
        ...

    async def remove_participant(self, user_id: str, *, seconds: int | None = None) -> None:
        """End the session of a member. With ``seconds``, also keep the user out of the channel for this time."""
        await self.request(RemoveParticipant(user_id, seconds))

    async def readmit_participant(self, user_id: str) -> None:
        """Let a user in again who was removed for a time."""
        await self.request(ReadmitParticipant(user_id))

    async def mute(self, user_id: str, source: Source) -> None:
        """Pause a member's producers of one source, until :meth:`unmute`."""
        await self.request(Mute(user_id, source))

    async def unmute(self, user_id: str, source: Source) -> None:
        """Let a user resume its producers of one source."""
        await self.request(Unmute(user_id, source))

    async def deafen(self, user_id: str) -> None:
        """Let a member receive no media, until :meth:`undeafen`."""
        await self.request(Deafen(user_id))

    async def undeafen(self, user_id: str) -> None:
        """Let a user receive media again."""
        await self.request(Undeafen(user_id))

    async def lock_channel(self, *, seconds: int | None = None) -> None:
        """Let no newcomer in. With ``seconds``, the lock stays for this time after the channel is empty."""
        await self.request(LockChannel(seconds))

    async def unlock_channel(self) -> None:
        """Let newcomers in again."""
        await self.request(UnlockChannel())

    async def limit_members(self, max_members: int | None, *, seconds: int | None = None) -> None:
        """Let at most ``max_members`` in, None for no limit. ``seconds`` is as in :meth:`lock_channel`."""
        await self.request(LimitMembers(max_members, seconds))

    async def end_channel(self) -> None:
        """End the session of every member, also one's own. Events end with ``ConnectionClosed`` and code 4410."""
        await self.request(EndChannel())
