"""Guarantee 3, for programs outside the channels: all are told the same history, each change once and in order."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

MUTATIONS: Final = (
    Mutation(
        3,
        "A change counts as on the disk before it is written.",
        "gateway/presence/durable.py",
        "        await self._write(partial(self.store.write, [_record_of(entry) for entry in batch], self.keep))\n",
        """\
        self.journal.commit(batch[-1].number)
        await self._write(partial(self.store.write, [_record_of(entry) for entry in batch], self.keep))
""",
        ("tests/presence/test_store.py::test_a_hanging_disk_delays_nobody_but_its_readers",),
    ),
    Mutation(
        3,
        "A stream tells a change before it is on the disk.",
        "gateway/http/presence.py",
        "        feed, journal = self._gateway.backend_feed, self._gateway.journal\n",
        "        feed, journal = self._gateway.feed, self._gateway.journal\n",
        (tests.RESET,),
    ),
    Mutation(
        3,
        "A stream that resumes tells changes that are not on the disk.",
        "gateway/presence/journal.py",
        "number < entry.number <= self.committed and",
        "number < entry.number and",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "A stream that resumes tells the last change again.",
        "gateway/presence/journal.py",
        "number < entry.number <= self.committed and",
        "number <= entry.number <= self.committed and",
        (tests.RESET,),
    ),
    Mutation(
        3,
        "A stream that resumes does not tell the changes that came meanwhile.",
        "gateway/http/presence.py",
        """ + b"".join(map(self._event, missed or ())))""",
        ")",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "A stream tells a change again that its list contains.",
        "gateway/http/presence.py",
        "[entry for entry in entries if entry.number > listed.get(entry.channel_id, 0)]",
        "entries",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "A list of a stream is told before it is on the disk.",
        "gateway/http/presence.py",
        "            await journal.wait_committed(number)\n",
        "",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "A webhook that failed is not sent again.",
        "gateway/presence/webhooks.py",
        """\
            if problem is None:
                return message
            if problem""",
        """\
            if problem is None or not problem.is_of_message:
                return message
            if problem""",
        (tests.RESET,),
    ),
    Mutation(
        3,
        "After a webhook that the receiver refuses, a later one of the same channel overtakes it.",
        "gateway/presence/webhooks.py",
        """\
                lane.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * lane.pause))
""",
        """\
                lane.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * lane.pause))
                lane.entries.rotate(-1)
""",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "A webhook has another id when it comes again.",
        "gateway/presence/webhooks.py",
        """return Message(f"{self.journal.name}-{name}",""",
        """return Message(f"{self.journal.name}-{name}-{self.figures.failures}",""",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "A webhook with a list is sent before the list is on the disk.",
        "gateway/presence/webhooks.py",
        "        await self.journal.wait_committed(message.number)\n",
        "",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "Webhooks over the backlog are dropped, and no list replaces them.",
        "gateway/presence/webhooks.py",
        """\
        lane.entries.clear()
        lane.lost += 1
""",
        """\
        while len(lane.entries) > 1:
            lane.entries.pop()
""",
        (tests.OUTSIDE,),
    ),
    Mutation(
        3,
        "A webhook tells a change again that its list contains.",
        "gateway/presence/webhooks.py",
        """\
        if entry.number <= self._listed.get(entry.channel_id, 0):
            return
""",
        "",
        (tests.OUTSIDE,),
    ),
)
