"""Guarantee 4: cleaning up is complete and takes limited time, even if a step fails or hangs."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

_GUARANTEES = "tests/conformance/test_guarantees.py"
_HANGS = f"{_GUARANTEES}::test_a_goodbye_that_hangs_or_fails_is_cut_off_logged_and_counted"

MUTATIONS: Final = (
    Mutation(
        4,
        "A peer says goodbye on its transports one after the other.",
        "sfu/peer.py",
        "                    goodbyes.start_soon(self._say_goodbye, transport, deadline)\n",
        "                    await self._say_goodbye(transport, deadline)\n",
        (tests.TEN_HANG,),
    ),
    Mutation(
        4,
        "A transport's goodbye has a shield without a deadline.",
        "sfu/peer.py",
        "        with trio.CancelScope(deadline=deadline, shield=True) as scope:\n",
        "        with trio.CancelScope(shield=True) as scope:\n",
        (f"{tests.SLOW}[say goodbye on transport-inf]",),
    ),
    Mutation(
        4,
        "A goodbye that is cut off is not counted.",
        "sfu/peer.py",
        "            self.context.forced_cleanups += 1\n",
        "",
        (_HANGS,),
    ),
    Mutation(
        4,
        "A peer whose closing fails as a whole is not closed a second time.",
        "sfu/peer.py",
        """\
            log.exception("closing a peer failed", peer=self.name)
            return self.close()
""",
        """\
            log.exception("closing a peer failed", peer=self.name)
            return []
""",
        (f"{tests.CLEANUP_FAILS}[close peer]",),
    ),
    Mutation(
        4,
        "A media object that cannot be closed stays in the tables.",
        "sfu/closing.py",
        """\
        _note_failure("closing failed", resource, context)
        drop_by_force(resource, context)
""",
        """\
        _note_failure("closing failed", resource, context)
""",
        (f"{tests.CLEANUP_FAILS}[close consumer]",),
    ),
    Mutation(
        4,
        "A member whose removal fails stays on the list.",
        "gateway/channel/channel.py",
        """\
            self.metrics.failed_cleanup()
            self._take_off_list(member, member.leave_reason)
            raise
""",
        """\
            self.metrics.failed_cleanup()
            raise
""",
        (f"{tests.RAISES}[take off list-instead of its work]",),
    ),
    Mutation(
        4,
        "A connection waits for its goodbye without a limit.",
        "gateway/connection/connection.py",
        "                    with trio.move_on_after(config.goodbye_timeout, shield=True) as late:\n",
        "                    with trio.CancelScope(shield=True) as late:\n",
        (f"{tests.SLOW}[say goodbye-inf]",),
    ),
    Mutation(
        4,
        "The close frame for a client that broke RFC 6455 waits until the client reads it.",
        "gateway/connection/attachment.py",
        """\
                with trio.move_on_after(self.config.goodbye_timeout, shield=True):
                    await self.shared.send_close_frame""",
        """\
                with trio.CancelScope(shield=True):
                    await self.shared.send_close_frame""",
        (
            "tests/guarantees/test_every_way_to_die.py"
            "::test_a_client_that_dies_in_a_call_is_gone_and_the_others_go_on[bytes that are no WebSocket frame-clean]",
            "tests/connection/test_reading.py::test_a_violation_of_rfc_6455_is_closed_with_its_code",
        ),
    ),
    Mutation(
        4,
        "A cancelled client gets no reason, because the tasks that move its bytes have no shield.",
        "gateway/connection/shielded.py",
        "    scope = trio.CancelScope(shield=True)\n",
        "    scope = trio.CancelScope()\n",
        (tests.CANCELLED,),
    ),
    Mutation(
        4,
        "A channel stays open after its last member has left.",
        "gateway/channel/channels.py",
        """\
        if not channel.occupants:
            del self._channels[channel.id]
            self._texts.pop(channel.id, None)
            self.moderation.channel_closed(channel)
            self.journal.append(channel.id, "channel_closed", (channel.epoch, channel.revision))
            channel.log.info("channel closed")
""",
        """\
        pass
""",
        (tests.RESET,),
    ),
    Mutation(
        4,
        "The task that finds speakers keeps closed channels and their members alive.",
        "gateway/channel/speakers.py",
        """\
        await _update_all(list(channels()))


async def _update_all(channels: Iterable[Channel]) -> None:
    \"\"\"Update every channel. This is a function of its own, so that no variable keeps a closed channel alive.\"\"\"
    for channel in channels:
        try:
            update_speakers(channel)
            prefer_speakers(channel, trio.current_time())
        except Exception:
            log.exception("cannot update the speakers of a channel", channel=channel.id)
        await trio.lowlevel.checkpoint()
""",
        """\
        for channel in list(channels()):
            try:
                update_speakers(channel)
                prefer_speakers(channel, trio.current_time())
            except Exception:
                log.exception("cannot update the speakers of a channel", channel=channel.id)
            await trio.lowlevel.checkpoint()
""",
        (tests.RESET,),
    ),
)
