"""Guarantee 3: revisions rise by one, and there is no gap between a snapshot and the events after it."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

MUTATIONS: Final = (
    Mutation(
        3,
        "A change of a member's producers does not raise the revision.",
        "gateway/channel/channel.py",
        """\
            self.revision += 1
            self._broadcast_change("user_updated", member)
""",
        """\
            self._broadcast_change("user_updated", member)
""",
        (tests.RESET,),
    ),
    Mutation(
        3,
        "The snapshot for a new member is taken before the member is on the list.",
        "gateway/channel/channel.py",
        """\
        self.members[member.user_id] = member
        self.revision += 1
        self._broadcast_change("user_joined", member, but=member)
        welcome(self)
""",
        """\
        welcome(self)
        self.members[member.user_id] = member
        self.revision += 1
        self._broadcast_change("user_joined", member, but=member)
""",
        (tests.RESET,),
    ),
    Mutation(
        3,
        "The snapshot for a new member has the revision from before the join.",
        "gateway/channel/channel.py",
        """\
        self.revision += 1
        self._broadcast_change("user_joined", member, but=member)
        welcome(self)
""",
        """\
        welcome(self)
        self.revision += 1
        self._broadcast_change("user_joined", member, but=member)
""",
        (tests.RESET,),
    ),
    Mutation(
        3,
        "The revision rises only after the change was announced.",
        "gateway/channel/channel.py",
        """\
        self.revision += 1
        return self._broadcast_change("user_left", member, reason=reason, to=to)
""",
        """\
        notified = self._broadcast_change("user_left", member, reason=reason, to=to)
        self.revision += 1
        return notified
""",
        (tests.RESET,),
    ),
    Mutation(
        3,
        "An update that changes nothing is announced.",
        "gateway/channel/channel.py",
        "        if present != member.participant and self.members.get(member.user_id) is member:\n",
        "        if self.members.get(member.user_id) is member:\n",
        ("tests/channel/test_participant_list.py::test_a_request_that_changes_nothing_causes_no_event",),
    ),
    Mutation(
        3,
        "After an overflow the outbox takes messages again, behind a gap.",
        "gateway/connection/outbox.py",
        "        if self._closed or self._refuses:\n",
        "        if self._closed:\n",
        ("tests/connection/test_outbox.py::test_after_an_overflow_every_frame_is_refused_so_that_there_is_no_gap",),
    ),
)
