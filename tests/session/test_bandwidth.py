"""What a client says and hears about the bandwidth of its path."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.session.memory_gateway import camera, open_rig, send_transport
from tests.session.test_media_notices import peer_of
from tests.session.test_producer_layers import flood, watch
from tests.session.test_resuming import join


async def test_a_client_hears_that_its_path_has_no_room_for_a_video(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        seen = await watch(ben, await camera(ada, await send_transport(ada)), paused=False)
        (consumer,) = peer_of(rig, "ben").consumers.values()
        await ben.take_all()
        said = {"consumerId": seen, "producerPaused": False, "layers": None}
        consumer.allot(None, trio.current_time())
        assert await ben.event("consumer_updated") == said | {"starved": True}
        consumer.allot(consumer.limit, trio.current_time())
        assert await ben.event("consumer_updated") == said | {"starved": False}


async def test_a_client_that_lost_events_learns_what_is_starved_and_whose_connection_is_bad(
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        ben = await rig.connect()
        session = await join(ben, "ben")
        await watch(ben, await camera(ada, await send_transport(ada)), paused=False)
        (consumer,) = peer_of(rig, "ben").consumers.values()
        consumer.allot(None, trio.current_time())
        channel = rig.gateway.channels.channels["lobby"]
        channel.members["ada"].quality.announced = "poor"
        channel.speakers = ("ada",)
        await flood(ada)
        await wait_all_tasks_blocked()
        again = await rig.connect()
        again.last_event = ben.last_event
        state = await again.ok("resume_session", **session)
        assert state["lost"] is True
        assert [one["starved"] for one in state["consumers"]] == [True]
        assert await again.event("active_speakers") == {"userIds": ["ada"]}
        assert await again.event("connection_quality") == {"userId": "ada", "quality": "poor"}


async def test_screens_and_priorities_are_those_that_clients_name(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        shown = await camera(ada, sending)
        await camera(ada, sending, 2002, source="screen")
        assert [one.screen for one in peer_of(rig, "ada").producers.values()] == [False, True]
        seen = await watch(ben, shown)
        await ben.ok("set_priority", consumerId=seen, priority=255)
        assert [one.priority for one in peer_of(rig, "ben").consumers.values()] == [255]
