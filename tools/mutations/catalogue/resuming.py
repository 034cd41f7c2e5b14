"""Sessions that go on over another socket. The guarantees hold for them as for others, so each has its own number."""

from typing import Final

from tools.mutations.mutation import Mutation

_RESUMING: Final = "tests/session/test_resuming.py::"
_SEATS: Final = "tests/session/test_seats.py::"

MUTATIONS: Final = (
    Mutation(
        2,
        "A session that has ended can be resumed.",
        "gateway/session/resume.py",
        "    if seat is None or not is_right or seat.member.is_ending:\n",
        "    if seat is None or not is_right:\n",
        (f"{_RESUMING}test_a_session_that_has_ended_cannot_be_resumed",),
    ),
    Mutation(
        3,
        "An event does not raise seq.",
        "gateway/connection/replay_log.py",
        "        self.last_event += 1\n",
        "        self.last_event = max(1, self.last_event)\n",
        (f"{_RESUMING}test_missing_answers_and_events_come_again_in_their_order",),
    ),
    Mutation(
        3,
        "What a client has missed is not sent again.",
        "gateway/session/resume.py",
        "[Frame.of(Ok(request.id, answer)), *(missing or ())]",
        "[Frame.of(Ok(request.id, answer))]",
        (f"{_RESUMING}test_missing_answers_and_events_come_again_in_their_order",),
    ),
    Mutation(
        3,
        "A request that comes again over another socket is served twice.",
        "gateway/session/request_source.py",
        """\
            if self._is_repeated(request.id, message):
                continue
""",
        "",
        (f"{_RESUMING}test_a_request_that_was_answered_gets_its_answer_again_and_is_not_served_twice",),
    ),
    Mutation(
        3,
        "A client is not told that messages are lost.",
        "gateway/connection/replay_log.py",
        """\
        if self._lost_event > event or self._lost_answer > answer:
            return None
""",
        "",
        (f"{_RESUMING}test_what_the_gateway_cannot_keep_is_told_with_the_whole_state",),
    ),
    Mutation(
        5,
        "A wrong secret resumes a session.",
        "gateway/session/resume.py",
        "    if seat is None or not is_right or seat.member.is_ending:\n",
        "    if seat is None or seat.member.is_ending:\n",
        (f"{_RESUMING}test_a_wrong_secret_and_an_unknown_session_look_alike_and_the_client_may_join",),
    ),
    Mutation(
        5,
        "A client without the secret of a session takes its seat.",
        "gateway/channel/channel.py",
        "            if newcomer.may_take_over(holder.secret):\n",
        "            if True:\n",
        (f"{_SEATS}test_a_stranger_cannot_take_a_listed_users_seat",),
    ),
    Mutation(
        5,
        "A client that waits for its own seat is pushed out by a stranger.",
        "gateway/channel/channel.py",
        "        for holder in (older, waiting):\n",
        "        for holder in (older,):\n",
        (f"{_SEATS}test_a_stranger_cannot_push_out_a_client_that_waits_for_its_own_seat",),
    ),
    Mutation(
        5,
        "The gateway keeps what a client has acknowledged.",
        "gateway/session/handlers.py",
        "        log.acknowledge(data.last_event or 0, -1 if data.last_answer is None else data.last_answer)\n",
        "        pass\n",
        (f"{_RESUMING}test_an_acknowledgement_makes_room",),
    ),
    Mutation(
        6,
        "The end of an old socket ends the session.",
        "gateway/connection/connection.py",
        "        if attachment is not self.attachment or self.end_reason is not None:\n",
        "        if self.end_reason is not None:\n",
        (f"{_RESUMING}test_nothing_from_the_old_socket_counts_after_the_new_one",),
    ),
    Mutation(
        6,
        "An old socket stays open beside the new one.",
        "gateway/connection/connection.py",
        """\
        if former is not None:
            former.abort()
""",
        "",
        (f"{_RESUMING}test_the_old_socket_is_closed_in_the_same_step_without_a_goodbye",),
    ),
    Mutation(
        6,
        "A client whose connection broke keeps its seat beyond the limit of silence.",
        "gateway/connection/connection.py",
        "        with trio.move_on_at(min(trio.current_time() + config.resume_grace, silent_at)):\n",
        "        with trio.move_on_at(trio.current_time() + config.resume_grace):\n",
        (f"{_RESUMING}test_a_broken_socket_keeps_the_seat_for_the_grace_but_no_longer_than_silence",),
    ),
    Mutation(
        6,
        "A close frame is forgiven like a broken connection.",
        "gateway/connection/connection.py",
        "        if not broken or not self.in_session or not self.config.resume_grace:\n",
        "        if not self.in_session or not self.config.resume_grace:\n",
        (f"{_RESUMING}test_a_close_frame_ends_the_session_at_once",),
    ),
    Mutation(
        6,
        "The end of a task that only holds a socket does not end the session.",
        "gateway/connection/attachment.py",
        """\
            if self._accepted:
                self.report(end_reasons.DISCONNECTED, broken=True)
""",
        "",
        (f"{_RESUMING}test_cancelling_either_task_ends_the_session_and_closes_both_sockets",),
    ),
)
