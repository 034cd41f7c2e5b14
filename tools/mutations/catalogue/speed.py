"""Guarantee 6: the gateway acts on a visible end at once, and notices silence in time."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

_ISOLATION = "tests/session/test_isolation.py"
_SPEED = "tests/guarantees/test_speed.py"

MUTATIONS: Final = (
    Mutation(
        6,
        "The gateway reads nothing while requests wait, so it does not see the end of a connection.",
        "gateway/connection/attachment.py",
        """\
            try:
                message = await self.websocket.get_message()
""",
        """\
            while self.owner.inbox.size:
                await trio.sleep(0.1)
            try:
                message = await self.websocket.get_message()
""",
        ("tests/connection/test_reading.py::test_a_client_is_read_while_its_session_waits",),
    ),
    Mutation(
        6,
        "A silent client is noticed but not closed.",
        "gateway/connection/attachment.py",
        '        self.report(gone, limit="outbox_age" if gone is end_reasons.TOO_SLOW else None)\n',
        "        del gone\n",
        (tests.SILENT,),
    ),
    Mutation(
        6,
        "A silent client is noticed one tick too late.",
        "gateway/connection/liveness.py",
        "    return tick if tick > now else due\n",
        "    return _tick_after(due)\n",
        (
            "tests/connection/test_liveness.py"
            "::test_with_any_configuration_there_is_time_to_answer_and_the_end_is_on_time",
        ),
    ),
    Mutation(
        6,
        "An end is recorded, but the session goes on until its next request.",
        "gateway/connection/connection.py",
        """\
            self.end_reason = end_reason
            self.scope.cancel()
""",
        """\
            self.end_reason = end_reason
""",
        (tests.RESET,),
    ),
    Mutation(
        6,
        "A session closes its media only after its client has read everything.",
        "gateway/session/lifecycle.py",
        """\
        try:
            yield Session(gateway, seat, peer)
        finally:
""",
        """\
        try:
            yield Session(gateway, seat, peer)
        finally:
            with trio.move_on_after(gateway.config.goodbye_timeout, shield=True):
                await member.connection.outbox.wait_empty()
""",
        (
            f"{tests.IN_A_CALL}[no pong-clean]",
            f"{tests.IN_A_CALL}[a full outbox-clean]",
            f"{_ISOLATION}::test_a_slow_reader_is_closed_when_too_many_bytes_wait_and_delays_no_other_client",
            f"{_ISOLATION}::test_a_slow_reader_is_closed_when_a_message_has_waited_too_long",
        ),
    ),
    Mutation(
        6,
        "A silent transport is never closed.",
        "sfu/transport.py",
        """\
        if not self._heard_since(last_at):
            self.fail("no sign of life from the client any more")
""",
        """\
        return
""",
        (f"{tests.LOST_MEDIA}[no STUN]",),
    ),
    Mutation(
        6,
        "Media keeps a client for ever although its WebSocket is silent.",
        "gateway/connection/liveness.py",
        "min(self.media_heard_at() + patience, self.stream.last_received_at + self.media_grace)\n",
        "self.media_heard_at() + patience\n",
        (f"{_SPEED}::test_media_keeps_a_client_with_a_silent_websocket_only_for_a_while",),
    ),
    Mutation(
        6,
        "Repeated Binding requests keep a client that is gone.",
        "sfu/transport.py",
        "            heard_at = self.plane.media_heard_at(self.plane_id)\n",
        "            heard_at = self.plane.heard_at(self.plane_id)\n",
        (f"{_SPEED}::test_repeated_or_forged_media_does_not_keep_a_client_that_is_gone",),
    ),
    Mutation(
        6,
        "A client's close_notify does not close its transport.",
        "sfu/transport.py",
        """\
                self._owner.lose_transport(self, failed=False)
""",
        """\
                pass
""",
        ("tests/conformance/test_transports.py::test_a_close_notify_closes_the_transport_at_once",),
    ),
    Mutation(
        6,
        "A goodbye goes on after the connection has broken.",
        "gateway/connection/attachment.py",
        """\
        self._goodbye.cancel()
        self.report(end_reasons.DISCONNECTED, broken=True)
""",
        """\
        self.report(end_reasons.DISCONNECTED, broken=True)
""",
        (f"{tests.ON_BEHALF}::test_a_connection_that_breaks_during_its_goodbye_ends_at_once",),
    ),
)
