"""One budget for all bytes that clients have sent and no session has read yet.

A client may send a part of a message and stop. Each of them has little, but many of them together may have all memory.
Past the budget the client with the most unread bytes is closed: an attacker has more of them than others.
"""

from collections.abc import Callable

from attrs import define, field


def _do_nothing() -> None:
    pass


@define(eq=False)
class UnreadShare:
    """The unread bytes of one client. ``evict`` ends its connection."""

    budget: "UnreadBudget"
    evict: Callable[[], object]
    size: int = 0
    _closed: bool = False

    def change(self, by: int) -> None:
        """So many bytes more, or fewer, are unread. This may end a connection, perhaps this one."""
        if not self._closed:
            self.size += by
            self.budget.change(self, by)

    def close(self) -> None:
        """The client is gone, so nothing counts any more. The second call does nothing."""
        self._closed, self.evict = True, _do_nothing  # it refers to the owner of this object
        self.budget.forget(self)
        self.size = 0


@define(eq=False)
class UnreadBudget:
    """The unread bytes of all clients together: at most ``max_bytes``."""

    max_bytes: int
    size: int = 0
    # Those with unread bytes. A dict, since it keeps the order and finds each at once.
    _shares: dict[UnreadShare, None] = field(factory=dict)

    def change(self, share: UnreadShare, by: int) -> None:
        self.size += by
        if share.size:
            self._shares[share] = None
        else:
            self._shares.pop(share, None)
        if self.size > self.max_bytes:
            largest = max(self._shares, key=lambda one: one.size)
            evict = largest.evict
            largest.close()
            evict()

    def forget(self, share: UnreadShare) -> None:
        if share in self._shares:
            del self._shares[share]
            self.size -= share.size
