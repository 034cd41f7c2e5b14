"""Guarantee 2: every participant leaves exactly once, and nobody is listed twice."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

_REPLACING = "tests/channel/test_replacing.py"

MUTATIONS: Final = (
    Mutation(
        2,
        "A member is taken off the list only if its session ends without an exception.",
        "gateway/channel/channel.py",
        """\
                raise
            finally:
                seat.channel._remove_guarded(member)
""",
        """\
                raise
            else:
                seat.channel._remove_guarded(member)
""",
        (tests.RESET,),
    ),
    Mutation(
        2,
        "A replacing client does not wait until the older session is gone.",
        "gateway/channel/channel.py",
        "                await older.gone.wait()\n",
        "                break\n",
        (tests.REPLACED,),
    ),
    Mutation(
        2,
        "A client that waited for a seat ends the new holder, although the gateway has ended the waiting client.",
        "gateway/channel/channel.py",
        """\
                # A newer connection may have taken the seat after the older one left and before this task ran.
                await trio.lowlevel.checkpoint_if_cancelled()
""",
        "",
        (f"{_REPLACING}::test_a_waiter_does_not_end_a_newcomer_that_took_the_seat_before_it",),
    ),
    Mutation(
        2,
        "A client that waits for a seat is not ended by a later client.",
        "gateway/channel/channel.py",
        """\
        if (waiting := self._waiting.get(user_id)) is not None:
            waiting.connection.end(end_reasons.REPLACED)
        self._waiting""",
        """\
        self._waiting""",
        (
            f"{_REPLACING}::test_of_three_who_join_at_once_the_last_one_wins",
            "tests/conformance/test_guarantees.py::test_every_replaced_session_leaves_once_before_the_next_one_joins",
        ),
    ),
    Mutation(
        2,
        "A client that waits for a seat does not count as an occupant, so it may join a channel that was closed.",
        "gateway/channel/channel.py",
        """\
        self.occupants += 1
        try:
            takes_over = self._takes_over(member)
            self._require_unlocked(member, takes_over)
            await self._wait_for_seat(member)
""",
        """\
        takes_over = self._takes_over(member)
        await self._wait_for_seat(member)
        self.occupants += 1
        try:
""",
        (f"{_REPLACING}::test_a_channel_stays_the_same_one_while_somebody_waits_for_a_seat",),
    ),
    Mutation(
        2,
        "A client that is behind with reading gets no `user_left`.",
        "gateway/channel/channel.py",
        "        receivers = [member for member in self.members.values() if member is not but]\n",
        """\
        receivers = [
            member
            for member in self.members.values()
            if member is not but and not (kind == "user_left" and member.is_behind)
        ]
""",
        (
            "tests/session/test_isolation.py::test_many_simultaneous_leaves_with_much_metadata_close_no_reading_client",
            "tests/conformance/test_joining.py::test_members_that_leave_at_once_get_one_event_each",
        ),
    ),
)
