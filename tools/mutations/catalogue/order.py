"""Guarantee 1: first the media is closed, then the list changes, then the others are notified."""

from typing import Final

from tools.mutations.catalogue import tests
from tools.mutations.mutation import Mutation

MUTATIONS: Final = (
    Mutation(
        1,
        "The list changes before the peer is closed, because the media encloses the seat.",
        "gateway/session/lifecycle.py",
        """\
                async with (
                    take_seat(gateway, connection, join) as seat,  # exits second: leaves the list, notifies the others
                    open_media(gateway, seat) as session,  # exits first: closes consumers, producers, transports
                ):
                    leave = await serve_requests(session, requests)
""",
        """\
                from contextlib import AsyncExitStack

                async with AsyncExitStack() as media, take_seat(gateway, connection, join) as seat:
                    session = await media.enter_async_context(open_media(gateway, seat))
                    leave = await serve_requests(session, requests)
""",
        (tests.RESET,),
    ),
    Mutation(
        1,
        "A peer closes its producers before its consumers.",
        "sfu/peer.py",
        "= [*consumers, *producers, *transports]\n",
        "= [*producers, *consumers, *transports]\n",
        (tests.RESET,),
    ),
    Mutation(
        1,
        "A peer says goodbye while its media still flows.",
        "sfu/peer.py",
        """\
            transports = peer.leave()
            deadline = trio.current_time() + router.context.settings.exit_timeout
            # Each goodbye has a shield of its own.  This one bounds them all together, while we wait for them.
            with trio.CancelScope(deadline=deadline, shield=True):
                await peer.say_goodbyes(transports, deadline)
""",
        """\
            deadline = trio.current_time() + router.context.settings.exit_timeout
            with trio.CancelScope(deadline=deadline, shield=True):
                await peer.say_goodbyes(list(peer.transports.values()), deadline)
            peer.leave()
""",
        (
            tests.RESET,
            "tests/media/test_closing.py::test_a_leaving_peer_creates_no_transport",
        ),
    ),
    Mutation(
        1,
        "The others are notified before the list changes.",
        "gateway/channel/channel.py",
        """\
        del self.members[member.user_id]
        member.gone.set()
        self.revision += 1
        return self._broadcast_change("user_left", member, reason=reason, to=to)
""",
        """\
        self.revision += 1
        notified = self._broadcast_change("user_left", member, but=member, reason=reason, to=to)
        del self.members[member.user_id]
        member.gone.set()
        return notified
""",
        (tests.RESET,),
    ),
    Mutation(
        1,
        "A closed transport stays in the data plane.",
        "sfu/transport.py",
        """\
        self._owner.forget_transport(self)
        self.plane.remove_transport(self.plane_id)
""",
        """\
        self._owner.forget_transport(self)
""",
        (tests.RESET,),
    ),
    Mutation(
        1,
        "A closed transport stays in the router's directory.",
        "sfu/peer.py",
        """\
    def forget_transport(self, transport: Transport) -> None:
        self.directory.transports.pop(transport.plane_id, None)
""",
        """\
    def forget_transport(self, transport: Transport) -> None:
        pass
""",
        (tests.RESET,),
    ),
    Mutation(
        1,
        "A closed consumer stays in the router's directory.",
        "sfu/peer.py",
        "        self.directory.consumers.pop(consumer.plane_id, None)\n",
        "",
        (tests.RESET,),
    ),
)
