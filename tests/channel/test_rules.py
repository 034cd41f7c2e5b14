"""The bounded memory of moderators' rules, and of members that lost their sessions."""

from typing import Any

from gateway.channel.member import Member
from gateway.channel.rules import KeptRules, LostMembers, Rule
from gateway.identity.rights import EVERYBODY, Rights
from protocol.vocabulary import Participant

DAY = Rule(86_400)


def member(user: str, secret: str = "", rights: Rights = EVERYBODY) -> Member:
    """A member without a connection, which these tests do not need."""
    connection: Any = None
    entry = Participant(user, user, "2026-11-01T09:30:00.250Z")
    return Member("s", connection, entry, secret or user * 22, rights, came_at=0.0)


# Rules that outlive their channels.


def test_a_rule_is_kept_for_its_time_and_no_longer() -> None:
    kept = KeptRules(10)
    kept.set("lobby", "lock", Rule(60), now=100)
    kept.set("lobby", "limit", Rule(90, 5), now=100)
    assert kept.of("lobby", 159)[0] == {"lock": Rule(60), "limit": Rule(90, 5)}
    assert kept.of("lobby", 160)[0] == {"limit": Rule(90, 5)}
    assert kept.of("lobby", 190)[0] == {}
    assert kept.of("cellar", 100)[0] == {}


def test_a_rule_without_a_time_is_not_kept_and_replaces_one_with_a_time() -> None:
    kept = KeptRules(10)
    for rule in (None, Rule()):
        kept.set("lobby", "lock", DAY, now=0)
        kept.set("lobby", "lock", rule, now=1)
        assert kept.of("lobby", 2)[0] == {}
        assert len(kept) == 0


def test_the_number_of_kept_rules_is_bounded_and_the_first_to_end_is_forgotten() -> None:
    kept = KeptRules(3)
    for number, seconds in enumerate((50.0, 20.0, 90.0, 70.0)):
        kept.set(f"channel-{number}", "lock", Rule(seconds), now=0)
    assert len(kept) == 3
    assert [bool(kept.of(f"channel-{number}", 1)[0]) for number in range(4)] == [True, False, True, True]


def test_kept_rules_that_are_over_make_room() -> None:
    kept = KeptRules(2)
    kept.set("a", "lock", Rule(10), now=0)
    kept.set("b", "lock", Rule(1000), now=0)
    kept.set("c", "lock", Rule(5), now=10)
    assert [bool(kept.of(name, 11)[0]) for name in "abc"] == [False, True, True]


# Members that lost their sessions.


def test_a_lost_member_is_known_by_its_secret_for_a_time() -> None:
    lost = LostMembers(10, 60)
    lost.add(member("ada"), "timed_out", now=0)
    assert lost.knows(member("ada"), 59)
    assert not lost.knows(member("ada"), 60)
    assert not lost.knows(member("ada", "wrong"), 1)
    assert not lost.knows(member("ben", "ada" * 22), 1)


def test_a_lost_member_is_known_by_its_token() -> None:
    lost = LostMembers(10, 60)
    lost.add(member("ada"), "disconnected", now=0)
    assert lost.knows(member("ada", "wrong", Rights("ada", ("*",))), 1)


def test_a_member_that_left_for_good_is_forgotten() -> None:
    lost = LostMembers(10, 60)
    for number, reason in enumerate(("left", "removed", "ended")):
        lost.add(member("ada"), "failed", now=number)
        lost.add(member("ada"), reason, now=number)  # type: ignore[arg-type]  # mypy widens the tuple
        assert not lost.knows(member("ada"), number)


def test_the_number_of_lost_members_is_bounded_and_the_first_is_forgotten() -> None:
    lost = LostMembers(2, 60)
    for number, user in enumerate(("ada", "ben", "cleo")):
        lost.add(member(user), "disconnected", now=number)
    assert len(lost) == 2
    assert [lost.knows(member(user), 3) for user in ("ada", "ben", "cleo")] == [False, True, True]


def test_the_secrets_of_lost_members_are_in_no_text_form() -> None:
    lost = LostMembers(10, 60)
    lost.add(member("ada", "open-sesame"), "disconnected", now=0)
    assert "open-sesame" not in repr(lost)
