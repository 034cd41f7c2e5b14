"""Guarantee 5: no client waits for another one or fails with it."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

_ISOLATION = "tests/session/test_isolation.py"
_GUARANTEES = "tests/conformance/test_guarantees.py"

MUTATIONS: Final = (
    Mutation(
        5,
        "A receiver changes the demand on a sender's video without the sender's guard.",
        "sfu/consumer.py",
        "        self.producer.guard(self.producer.change_demand, before, self.best_wanted)\n",
        "        self.producer.change_demand(before, self.best_wanted)\n",
        ("tests/media/test_demand.py::test_an_exception_in_counting_the_demand_ends_only_the_sender",),
    ),
    Mutation(
        5,
        "An outbox takes any number of bytes.",
        "gateway/connection/outbox.py",
        "        if self._queue and self.size + frame.size > self.max_bytes:\n",
        "        if False:\n",
        (f"{_ISOLATION}::test_a_slow_reader_is_closed_when_too_many_bytes_wait_and_delays_no_other_client",),
    ),
    Mutation(
        5,
        "An outbox never counts its client as stalled.",
        "gateway/connection/outbox.py",
        "        return (self._waiting_since if self._queue else trio.current_time()) + self.max_age\n",
        "        return trio.current_time() + self.max_age\n",
        (f"{_ISOLATION}::test_a_slow_reader_is_closed_when_a_message_has_waited_too_long",),
    ),
    Mutation(
        5,
        "A client's next request waits until everybody in the channel has read the effects of the last one.",
        "gateway/session/lifecycle.py",
        "        answer(session, request)\n",
        """\
        answer(session, request)
        for member in list(session.channel.members.values()):
            await member.connection.outbox.wait_empty()
""",
        (f"{_GUARANTEES}::test_a_client_that_does_not_read_delays_no_other_clients_media_or_messages",),
    ),
    Mutation(
        5,
        "An exception while notifying a member is raised at the client that caused the change.",
        "gateway/channel/member.py",
        """\
        try:
            return self.connection.send(frame, kept=kept)
        except Exception as error:
            self.connection.fail(error)
            return False
""",
        """\
        return self.connection.send(frame, kept=kept)
""",
        ("tests/channel/test_participant_list.py::test_an_exception_while_notifying_a_member_ends_only_that_member",),
    ),
    Mutation(
        5,
        "An exception while notifying a consumer's owner is raised at the owner of the closed producer.",
        "sfu/peer.py",
        "        self.guard(self.observer.consumer_closed, consumer, why)\n",
        "        self.observer.consumer_closed(consumer, why)\n",
        (
            "tests/session/test_media_notices.py"
            "::test_an_exception_in_notifying_a_member_of_a_closed_producer_ends_only_that_member",
        ),
    ),
    Mutation(
        5,
        "A consumer that cannot be closed keeps another client's producer from closing.",
        "sfu/producer.py",
        """\
            if not consumer.guard(consumer.close):
                drop_by_force(consumer, self.transport.context)
""",
        "            consumer.close()\n",
        (f"{tests.ON_BEHALF}::test_a_consumer_that_cannot_be_closed_ends_its_owner_but_not_the_producers_owner",),
    ),
    Mutation(
        5,
        "A client that reads, but is behind, counts as stalled.",
        "gateway/connection/outbox.py",
        """\
            self._waiting_since = self._sent_at = trio.current_time()
""",
        """\
            self._sent_at = trio.current_time()
""",
        ("tests/connection/test_outbox.py::test_a_frame_that_is_old_only_because_of_the_queue_does_not_overflow",),
    ),
    Mutation(
        5,
        "After a stall of the gateway, a client that reads in time is closed, because the timers run first.",
        "gateway/connection/liveness.py",
        """\
            # After a stall of the whole gateway, let the reader and the writer run before judging.
            await trio.lowlevel.checkpoint()
""",
        "",
        ("tests/connection/test_outbox.py::test_a_client_that_reads_at_the_deadline_keeps_up",),
    ),
    Mutation(
        5,
        "After a stall of the gateway, a client that sends in time is closed, because the timers run first.",
        "gateway/connection/liveness.py",
        """\
            # After a stall of the whole gateway, let the reader and the writer run before judging.
            await trio.lowlevel.checkpoint()
""",
        "",
        ("tests/connection/test_liveness.py::test_bytes_that_arrive_at_the_deadline_count",),
    ),
    Mutation(
        5,
        "After a stall of the gateway, a client that got no ping is closed for its silence.",
        "gateway/connection/liveness.py",
        """\
        if not self._is_pinged:
            return math.inf
""",
        "",
        (
            "tests/connection/test_liveness.py"
            "::test_after_a_stall_of_the_gateway_a_client_is_pinged_before_it_counts_as_dead",
        ),
    ),
    Mutation(
        5,
        "After a gap in the network, a client is closed although its media is back before its WebSocket.",
        "gateway/connection/liveness.py",
        "        if now >= self._dead_at and now >= self._media_keeps_until():\n",
        "        if now >= self._dead_at:\n",
        (
            "tests/guarantees/test_speed.py"
            "::test_a_client_whose_media_is_back_after_a_gap_stays_until_its_websocket_is_back",
        ),
    ),
    Mutation(
        5,
        "A client that sends messages is closed because its pong is late.",
        "gateway/connection/websocket.py",
        """\
        if data:
            self.last_received_at = trio.current_time()
""",
        """\
        if data and b"\\x8a" in data[:1]:
            self.last_received_at = trio.current_time()
""",
        ("tests/connection/test_liveness.py::test_any_traffic_counts_as_liveness",),
    ),
    Mutation(
        5,
        "An alert from anybody who knows the address closes a transport.",
        "sfu/wire/dtls/alerts.py",
        """\
        except InvalidTag:
            return None
""",
        """\
        except InvalidTag:
            return b"\\x01\\x00"
""",
        ("tests/wire/test_dtls_alerts.py::test_nobody_but_the_peer_can_end_it",),
    ),
    Mutation(
        5,
        "An inbox takes any number of requests.",
        "gateway/connection/inbox.py",
        """\
        if len(self._queue) >= self.max_messages or self.size + message.size > self.max_bytes:
            return False
""",
        "",
        ("tests/connection/test_reading.py::test_more_than_the_inbox_holds_closes_with_4429",),
    ),
    Mutation(
        5,
        "A client that floods is refused again and again, but never closed.",
        "gateway/session/request_source.py",
        """\
                self.connection.end(end_reasons.RATE_LIMITED, "request_rate")
                continue
""",
        """\
                continue
""",
        (f"{_GUARANTEES}::test_a_client_that_floods_is_the_only_one_closed",),
    ),
    Mutation(
        5,
        "A bug while handling a client's datagram does not end that client.",
        "sfu/router.py",
        "            transport.guard(transport.receive_dtls, event.data, now)\n",
        "            transport.receive_dtls(event.data, now)\n",
        (f"{tests.ON_BEHALF}::test_a_bug_while_handling_a_datagram_ends_the_client_that_sent_it",),
    ),
    Mutation(
        5,
        "An exception while handling one datagram ends the loop that serves everybody.",
        "sfu/router.py",
        """\
        try:
            self._dispatch(event, now)
        except Exception:
            self.context.slow_path_errors += 1
            log.exception("an event from the network could not be handled")
""",
        """\
        self._dispatch(event, now)
""",
        (f"{tests.ON_BEHALF}::test_a_bug_in_the_dispatcher_is_logged_and_counted_and_the_call_goes_on",),
    ),
)
