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
                self._remove_guarded(member)
""",
        """\
                raise
            else:
                self._remove_guarded(member)
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
        "A client that wakes up for a seat ends the seat's holder, although it was itself ended meanwhile.",
        "gateway/channel/channel.py",
        """\
                # A newer connection may have taken the seat after the older one left and before this task ran.
                await trio.lowlevel.checkpoint_if_cancelled()
""",
        "",
        (f"{_REPLACING}::test_who_came_while_a_waiter_was_waking_up_is_not_ended_by_it",),
    ),
    Mutation(
        2,
        "A client that waits for a seat is not ended by a later client.",
        "gateway/channel/channel.py",
        """\
        if (waiting := self._waiting.get(user_id)) is not None:
            waiting.end(end_reasons.REPLACED)
        self._waiting""",
        """\
        self._waiting""",
        (
            f"{_REPLACING}::test_of_three_who_join_at_once_the_last_one_wins",
            "tests/conformance/test_guarantees.py"
            "::test_who_is_replaced_again_and_again_leaves_once_each_time_before_the_next_comes",
        ),
    ),
    Mutation(
        2,
        "A client that waits for a seat does not count as an occupant, so it may join a channel that was closed.",
        "gateway/channel/channel.py",
        """\
        self.occupants += 1
        try:
            await self._wait_for_seat(member.user_id, member.connection)
""",
        """\
        await self._wait_for_seat(member.user_id, member.connection)
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
            "tests/session/test_isolation.py::test_many_with_much_metadata_who_leave_at_once_close_nobody_who_reads",
            "tests/conformance/test_joining.py::test_a_crowd_that_leaves_at_once_is_told_one_by_one",
        ),
    ),
)
