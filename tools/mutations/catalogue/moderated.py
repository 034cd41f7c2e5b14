"""Guarantee 7: what a moderator muted is not forwarded, and a deafened member receives nothing."""

from typing import Final

from tools.mutations.mutation import Mutation

_REQUESTS = "tests/session/test_moderation.py"
_MEDIA = "tests/conformance/test_moderation.py"
_DEAF = "tests/media/test_deaf.py"

MUTATIONS: Final = (
    Mutation(
        7,
        "A muted member resumes its stream.",
        "gateway/session/handlers.py",
        "                _require_not_muted(session, data.producer_id)\n",
        "                pass\n",
        (f"{_MEDIA}::test_nothing_of_a_muted_stream_leaves_the_gateway",),
    ),
    Mutation(
        7,
        "A muted member is heard again once it makes another stream.",
        "gateway/session/handlers.py",
        "    paused = data.paused or session.channel.restraints.is_muted(session.member.user_id, data.source)\n",
        "    paused = data.paused\n",
        (f"{_MEDIA}::test_nothing_of_a_muted_stream_leaves_the_gateway",),
    ),
    Mutation(
        7,
        "A deafened member resumes its consumers.",
        "sfu/consumer.py",
        "        self.transport.plane.set_consumer_paused(self.plane_id, self.stopped or self.starved)\n",
        "        self.transport.plane.set_consumer_paused(self.plane_id, self.paused or self.starved)\n",
        (f"{_MEDIA}::test_nothing_reaches_a_deafened_member",),
    ),
    Mutation(
        7,
        "A deafened member hears again once it consumes a stream anew.",
        "sfu/peer.py",
        "rtp_parameters, ssrc, rtx_ssrc, paused, self.deaf\n",
        "rtp_parameters, ssrc, rtx_ssrc, paused\n",
        (f"{_MEDIA}::test_nothing_reaches_a_deafened_member",),
    ),
    Mutation(
        7,
        "A deafened member hears again once it joins again.",
        "gateway/session/lifecycle.py",
        "        seat.channel.restraints.apply_to(member)\n",
        "",
        (f"{_REQUESTS}::test_a_consumer_that_a_deafened_member_makes_gets_nothing",),
    ),
    Mutation(
        7,
        "A member hears although the channel to which it moves has deafened it.",
        "gateway/session/moving.py",
        "    target.restraints.apply_to(member)\n",
        "",
        ("tests/session/test_moving.py::test_deafness_belongs_to_one_channel",),
    ),
    Mutation(
        7,
        "A member that is no longer deafened also gets the streams that it has paused itself.",
        "sfu/consumer.py",
        "            self._stop(self.paused, held, now)\n",
        "            self._stop(held, held, now)\n",
        (f"{_DEAF}::test_a_pause_of_the_owner_outlasts_the_deafness",),
    ),
    Mutation(
        7,
        "An exception in one stream of a deafened member lets the others flow on.",
        "sfu/peer.py",
        "            self.guard(consumer.set_held, deaf, trio.current_time())\n",
        "            consumer.set_held(deaf, trio.current_time())\n",
        (f"{_DEAF}::test_an_exception_in_one_stream_stops_the_others_all_the_same",),
    ),
    Mutation(
        7,
        "Whoever comes back is neither muted nor deafened any more.",
        "gateway/channel/channel.py",
        "        del self.members[member.user_id]\n",
        "        del self.members[member.user_id]\n        self.restraints = Restraints()\n",
        (f"{_REQUESTS}::test_a_mute_outlives_the_session", f"{_REQUESTS}::test_deafness_outlives_the_session"),
    ),
)
