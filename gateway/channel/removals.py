"""Removals for a time: the users and addresses that a moderator keeps out of a channel for some seconds."""

from attrs import define, field

from gateway.connection.accounts import site_of


@define(eq=False)
class Removals:
    """The times, on the clock of ``trio.current_time()``, until which users and addresses are kept out of channels.

    There are at most ``maximum`` times. Beyond that, the one that ends first is forgotten. An address that is kept out
    for several users counts once for each of them.
    """

    maximum: int
    # The keys are a channel with a user id, or a channel with a site. For each removed user, the value has the time at
    # which its removal ends. A site contains a slash, and no user id does.
    _until: dict[tuple[str, str], dict[str, float]] = field(factory=dict)

    def __len__(self) -> int:
        return sum(len(users) for users in self._until.values())

    def add(self, channel_id: str, user_id: str, until: float, now: float, site: str | None = None) -> bool:
        """Keep a user out of a channel until this time. With ``site``, which :func:`site_of` returned, keep out this
        site instead, as a part of the user's removal.

        Return whether another removal was forgotten for it.
        """
        self._forget_ended(now)
        self._until.get((channel_id, site or user_id), {}).pop(user_id, None)
        if forgets := len(self) >= self.maximum:
            first = min((end, name, user) for name, users in self._until.items() for user, end in users.items())
            del self._until[first[1]][first[2]]
        self._until.setdefault((channel_id, site or user_id), {})[user_id] = until
        return forgets

    def end(self, channel_id: str, user_id: str, now: float) -> bool:
        """Let a user in again, and its addresses, unless the removal of another user keeps them out as well.

        Return whether the user was kept out.
        """
        self._forget_ended(now)
        theirs = [users for (channel, _), users in self._until.items() if channel == channel_id and user_id in users]
        for users in theirs:
            del users[user_id]
        return bool(theirs)

    def seconds_left(self, channel_id: str, user_id: str, remote: str, now: float) -> float:
        """The seconds for which the user, or the address in ``remote``, is still kept out. 0 if neither is."""
        names = (user_id, site_of(remote))
        kept_out = (self._until.get((channel_id, name), {}) for name in names if name is not None)
        return max((end - now for users in kept_out for end in users.values() if end > now), default=0.0)

    def _forget_ended(self, now: float) -> None:
        left = ((name, {user: end for user, end in users.items() if end > now}) for name, users in self._until.items())
        self._until = {name: users for name, users in left if users}
