"""Guarantee 6: an end that is seen is acted on at once, and silence is seen in time."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

_ISOLATION = "tests/session/test_isolation.py"
_SPEED = "tests/guarantees/test_speed.py"

MUTATIONS: Final = (
    Mutation(
        6,
        "Nothing is read while requests wait to be worked off, so that an end is not seen meanwhile.",
        "gateway/connection/connection.py",
        """\
            try:
                message = await websocket.get_message()
""",
        """\
            while self.inbox.size:
                await trio.sleep(0.1)
            try:
                message = await websocket.get_message()
""",
        ("tests/connection/test_reading.py::test_what_a_client_sends_is_read_while_its_session_waits",),
    ),
    Mutation(
        6,
        "Silence is noticed and nothing comes of it.",
        "gateway/connection/connection.py",
        "        self.end(await liveness.wait_gone())\n",
        "        await liveness.wait_gone()\n",
        (tests.SILENT,),
    ),
    Mutation(
        6,
        "Silence is noticed at the next moment at which many look together.",
        "gateway/connection/liveness.py",
        "    return tick if tick > now else due\n",
        "    return _tick_after(due)\n",
        (
            "tests/connection/test_liveness.py"
            "::test_whatever_is_configured_there_is_time_to_answer_and_the_end_comes_when_it_should",
        ),
    ),
    Mutation(
        6,
        "An end is recorded, and the session goes on until it asks for something.",
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
        "A session waits until its client has read everything, and closes its media after that.",
        "gateway/session/session.py",
        """\
        try:
            yield Session(gateway, channel, member, peer)
        finally:
""",
        """\
        try:
            yield Session(gateway, channel, member, peer)
        finally:
            with trio.move_on_after(gateway.config.goodbye_timeout, shield=True):
                await member.connection.outbox.wait_empty()
""",
        (
            f"{tests.IN_A_CALL}[no pong-clean]",
            f"{tests.IN_A_CALL}[a full outbox-clean]",
            f"{_ISOLATION}::test_a_slow_reader_is_closed_when_too_many_bytes_wait_and_nobody_waits_for_it",
            f"{_ISOLATION}::test_a_slow_reader_is_closed_when_a_message_has_waited_too_long",
        ),
    ),
    Mutation(
        6,
        "A transport that is silent is told of, and never closed.",
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
        "Media keeps a client for ever whose WebSocket is silent.",
        "gateway/connection/liveness.py",
        "min(self.media_heard_at() + patience, self.guarded.last_received_at + self.media_grace)\n",
        "self.media_heard_at() + patience\n",
        (f"{_SPEED}::test_media_keeps_a_client_with_a_silent_websocket_only_for_a_while",),
    ),
    Mutation(
        6,
        "A client that is gone is kept with Binding requests that somebody repeats.",
        "sfu/transport.py",
        "            heard_at = self.plane.media_heard_at(self.plane_id)\n",
        "            heard_at = self.plane.heard_at(self.plane_id)\n",
        (f"{_SPEED}::test_repeated_or_forged_media_does_not_keep_a_client_that_is_gone",),
    ),
    Mutation(
        6,
        "A close_notify of the client is not acted on.",
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
        "A goodbye goes on when the connection is found to be broken.",
        "gateway/connection/connection.py",
        """\
        self._goodbye.cancel()
        self.end(end_reasons.DISCONNECTED)
""",
        """\
        self.end(end_reasons.DISCONNECTED)
""",
        (f"{tests.ON_BEHALF}::test_a_connection_that_breaks_during_its_goodbye_ends_at_once",),
    ),
)
