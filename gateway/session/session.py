"""A session: one client's stay in a channel, from its ``join`` to its end."""

from typing import Literal

import trio
from attrs import frozen

import sfu
from gateway.channel.channel import Channel, Seat
from gateway.channel.member import Member
from gateway.channel.moderation import Moderation
from gateway.gateway import Gateway
from protocol.errors import ErrorCode, RequestError

ObjectTable = Literal["transports", "producers", "consumers"]


@frozen(eq=False)
class Session:
    """The objects that the handlers of one session's requests need."""

    gateway: Gateway
    seat: Seat
    peer: sfu.Peer

    @property
    def channel(self) -> Channel:
        """The channel that the client is in at present."""
        return self.seat.channel

    @property
    def member(self) -> Member:
        """The client itself."""
        return self.seat.member

    @property
    def moderation(self) -> Moderation:
        """The decisions of moderators."""
        return self.gateway.channels.moderation

    def require_own(self, table: ObjectTable, object_id: str) -> None:
        """Check that an object is the client's own. Raises ``forbidden`` for another member's object, else
        ``not_found``."""
        if object_id in getattr(self.peer, table):
            return
        for other in self.channel.members.values():
            if other.peer is not None and object_id in getattr(other.peer, table):
                raise RequestError(ErrorCode.FORBIDDEN, f"this is not one of your {table}")
        raise RequestError(ErrorCode.NOT_FOUND, f"none of your {table} has this id")

    def require(self, grant: str | None) -> None:
        """Check that the client has a grant. Raises ``forbidden`` if not, and if its token has expired."""
        if grant is not None:
            self.member.rights.require(grant, self.gateway.utc_now().timestamp())

    def count_refusal(self, refused: RequestError) -> None:
        """Count a refusal that is a part of an answer."""
        self.gateway.metrics.request_error(refused.code)
        self.count_limit(refused)

    def count_limit(self, refused: RequestError) -> None:
        """Count a refusal that comes from a limit of the media side."""
        if isinstance(refused.__cause__, sfu.errors.LimitExceeded) and refused.__cause__.setting:
            self.gateway.metrics.limits.reached(refused.__cause__.setting)

    def spend_broadcast(self, cost: int = 1) -> None:
        """Charge a broadcast to the client, so that its messages leave room for those of others. Raises
        :exc:`RequestError` if the client has sent too many."""
        if not self.member.connection.broadcast_budget.take(cost, trio.current_time()):
            self.gateway.metrics.limits.reached("message_rate")
            raise RequestError(ErrorCode.RATE_LIMITED, "too many messages to other members in too short a time")
