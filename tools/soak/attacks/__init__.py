"""The attacks, a file for each. Each has ``ABOUT``, which says what it does, and ``attack``."""

from typing import Final

from attrs import frozen

from tools.soak.attacks import (
    bad_tokens,
    copies,
    half_open,
    messages,
    pings,
    rejoins,
    slow_readers,
    udp_members,
    udp_strangers,
    unfinished,
)
from tools.soak.target import Attack


@frozen
class Kind:
    """What an attack does in words, and the function that does it."""

    about: str
    attack: Attack


KINDS: Final[dict[str, Kind]] = {
    "udp_strangers": Kind(udp_strangers.ABOUT, udp_strangers.attack),
    "udp_members": Kind(udp_members.ABOUT, udp_members.attack),
    "half_open": Kind(half_open.ABOUT, half_open.attack),
    "bad_tokens": Kind(bad_tokens.ABOUT, bad_tokens.attack),
    "slow_readers": Kind(slow_readers.ABOUT, slow_readers.attack),
    "rejoins": Kind(rejoins.ABOUT, rejoins.attack),
    "pings": Kind(pings.ABOUT, pings.attack),
    "copies": Kind(copies.ABOUT, copies.attack),
    "messages": Kind(messages.ABOUT, messages.attack),
    "unfinished": Kind(unfinished.ABOUT, unfinished.attack),
}
"""Every attack by its name, in the order of the report."""
