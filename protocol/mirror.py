"""A copy of the lists of channels, kept by a client that watches them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from attrs import define, field

from protocol import limits
from protocol.declarations import Event
from protocol.events import VoiceState
from protocol.vocabulary import Participant, Position
from protocol.watching import Watched, WatchedChannel


@define
class Mirror:
    """The lists of the channels that a client watches.

    ``channels`` has the participants of each channel by user id, and only channels in which somebody is. Give the
    mirror each answer to ``watch`` and each event. It is never wrong, only as late as the network. ``after`` belongs
    into the next ``watch``, also over another connection.
    """

    channels: dict[str, dict[str, Participant]] = field(factory=dict)
    after: dict[str, Position] = field(factory=dict)

    def start(self, watched: Watched, *, prefix: str | None = None) -> None:
        """Take the answer to ``watch``. With a ``prefix``, a channel that the answer does not have is empty."""
        if prefix is not None:
            listed = {state.channel_id for state in watched.channels}
            self.forget([name for name in self.after if name.startswith(prefix) and name not in listed])
        for state in watched.channels:
            if state.events is None:
                self._replace(state)
            for change in state.events or ():
                self.take(change)

    def take(self, event: Event) -> bool:
        """Take an event. Return whether it changed a list: other events, and changes that are known already, do not."""
        if not isinstance(event, VoiceState):
            return False
        position, known = Position(event.epoch, event.revision), self.after.get(event.channel_id)
        if known is not None and position <= known:
            return False
        self.after[event.channel_id] = position
        members = self.channels.setdefault(event.channel_id, {})
        if event.type == "user_left":
            members.pop(event.user_id, None)
        else:
            members[event.user_id] = event.participant
        if not members:
            del self.channels[event.channel_id]
        return True

    def forget(self, channel_ids: Iterable[str]) -> None:
        """Drop channels that the client watches no longer."""
        for channel_id in channel_ids:
            self.channels.pop(channel_id, None)
            self.after.pop(channel_id, None)

    def _replace(self, state: WatchedChannel) -> None:
        self.channels.pop(state.channel_id, None)
        if state.participants:
            self.channels[state.channel_id] = {one.user_id: one for one in state.participants}
        self.after[state.channel_id] = Position(state.epoch or 0, state.revision or 0)


def positions_for(after: Mapping[str, Position], channel_ids: Sequence[str], prefix: str | None) -> dict[str, Position]:
    """The positions that concern a ``watch``, as many as it may have."""
    if prefix is None:
        return {name: after[name] for name in channel_ids if name in after}
    with_prefix = ((name, position) for name, position in after.items() if name.startswith(prefix))
    return dict(islice(with_prefix, limits.MAX_WATCHED_CHANNELS))
