"""Removals for a time: the users and addresses that a moderator keeps out of a channel for some seconds."""

from attrs import define, field

from gateway.connection.accounts import site_of


@define(eq=False)
class Removals:
    """The times, on the clock of ``trio.current_time()``, until which users and addresses are kept out of channels.

    There are at most ``maximum``. Past it, the one that ends first is forgotten.
    """

    maximum: int
    # By channel, and user id or site. No user id has the slash that ends each site.
    _until: dict[tuple[str, str], float] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._until)

    def add(self, channel_id: str, name: str, until: float, now: float) -> bool:
        """Keep a user id, or a site that :func:`site_of` returned, out of a channel until this time.

        Return whether another removal was forgotten for it.
        """
        self._until = {key: end for key, end in self._until.items() if end > now}
        self._until.pop((channel_id, name), None)
        if forgets := len(self._until) >= self.maximum:
            del self._until[min(self._until, key=self._until.__getitem__)]
        self._until[channel_id, name] = until
        return forgets

    def seconds_left(self, channel_id: str, user_id: str, remote: str, now: float) -> float:
        """The seconds for which the user, or the address in ``remote``, is still kept out. 0 if neither is."""
        names = (user_id, site_of(remote))
        return max(self._until.get((channel_id, name), now) - now for name in names if name is not None)
