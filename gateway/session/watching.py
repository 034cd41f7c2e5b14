"""``watch`` and ``unwatch``: a client follows the lists of channels that it has not joined."""

from attrs import frozen

from gateway.connection import end_reasons
from gateway.connection.accounts import site_of
from gateway.connection.connection import Connection
from gateway.gateway import Gateway
from gateway.identity.rights import Rights
from gateway.presence.feed import Subscription
from gateway.presence.journal import Entry
from protocol import limits
from protocol.errors import ErrorCode, RequestError
from protocol.responses import Done, Encoded
from protocol.vocabulary import Position
from protocol.watching import Unwatch, Watch, Watched

MOST_EVENTS = 100
"""The changes that one answer may have. A channel whose changes do not fit into it comes as a snapshot."""
MOST_PARTICIPANTS = 10_000
"""The participants and channels that one answer may have. More would keep all other tasks waiting for too long."""
MOST_BYTES = limits.MAX_GATEWAY_MESSAGE_BYTES // 2
"""The size that one answer may have, so that clients can read it."""


@frozen
class _Watcher:
    """Tells the changes to a connection. An exception ends this connection and nothing else."""

    connection: Connection

    def receive(self, entry: Entry) -> None:
        assert entry.frame is not None
        try:
            self.connection.tell_watcher(entry.frame)
        except Exception as error:
            self.connection.fail(error)

    def fall_behind(self) -> None:
        self.connection.end(end_reasons.TOO_SLOW)


def watch(gateway: Gateway, connection: Connection, rights: Rights, data: Watch) -> Encoded[Watched]:
    """Follow channels from now on, and return what the client needs to know about each of them.

    Raises :exc:`RequestError` with ``forbidden`` and ``limit_exceeded``.
    """
    channels = gateway.channels.channels
    if data.channel_ids is not None:
        named = list(dict.fromkeys(data.channel_ids))
        allows_all = rights.may_enter_all("")
        if not allows_all and (refused := [name for name in named if not rights.may_enter(name)]):
            raise RequestError(ErrorCode.FORBIDDEN, f"the token does not allow {refused[0]}", "data.channelIds")
    else:
        assert data.prefix is not None
        if not rights.may_enter_all(data.prefix):
            raise RequestError(ErrorCode.FORBIDDEN, "the token does not allow all these channels", "data.prefix")
        # The client also needs to know of those that it has on its list and that have closed.
        known = [name for name in data.after if name.startswith(data.prefix)]
        opened = [name for name in channels if name.startswith(data.prefix)]
        named = list(dict.fromkeys([*opened, *known]))
    answer, after = _Answer(gateway), data.after
    for name in named:
        answer.add(name, after.get(name))
    subscription = gateway.feed.subscription_of(connection)
    if subscription is None:
        watcher = _Watcher(connection)
        site, pays = site_of(connection.remote), connection.account
        subscription = Subscription(watcher.receive, watcher.fall_behind, site, pays)
    gateway.feed.follow(subscription, data.channel_ids or (), data.prefix, gateway.journal.number)
    gateway.feed.own(connection, subscription)  # only now, since nobody watches who was refused
    return answer.encoded


def unwatch(gateway: Gateway, connection: Connection, data: Unwatch) -> Done:
    """Follow channels or a prefix no longer. What the client does not watch counts as done."""
    if (subscription := gateway.feed.subscription_of(connection)) is not None:
        prefixes = () if data.prefix is None else (data.prefix,)
        gateway.feed.unfollow(subscription, data.channel_ids or (), prefixes)
        if not subscription.count:
            gateway.feed.close(subscription, connection)
    return Done()


class _Answer:
    """Joins the JSON of each channel into one answer, and bounds its size. Other watchers get the same texts."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._events = MOST_EVENTS
        self._participants = MOST_PARTICIPANTS
        self._size = MOST_BYTES
        self._texts: list[str] = []

    def add(self, channel_id: str, after: Position | None) -> None:
        """Add the changes ``after`` the position that the client has of the channel's list, or else the whole list.

        Raises :exc:`RequestError` if clients could not read the answer.
        """
        changes = None if after is None else self._gateway.journal.changes_after(channel_id, after)
        if changes is not None and len(changes) <= self._events:
            self._events -= len(changes)
            text = f'{{"channelId":"{channel_id}","events":[{",".join([change.data for change in changes])}]}}'
        else:
            channel = self._gateway.channels.channels.get(channel_id)
            self._participants -= 1 if channel is None else 1 + len(channel.members)
            text = "" if self._participants < 0 else self._gateway.channels.state_text(channel_id)
        self._size -= len(text) if text.isascii() else len(text.encode())
        if self._participants < 0 or self._size < 0:
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, "too many channels for one answer; watch fewer at a time")
        self._texts.append(text)

    @property
    def encoded(self) -> Encoded[Watched]:
        """The answer."""
        return Encoded(f'{{"channels":[{",".join(self._texts)}]}}')
