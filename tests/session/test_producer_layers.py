"""A client learns which encodings of its video somebody wants."""

from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from protocol import limits
from sfu.demand import OFF_AFTER
from tests.session.example_media import VP8_CODEC, stream
from tests.session.memory_gateway import RawClient, camera, microphone, open_rig, receive_transport, send_transport
from tests.session.test_resuming import join


def simulcast() -> dict[str, Any]:
    """Return the parameters of a camera with two encodings."""
    return stream(VP8_CODEC, 2001) | {"encodings": [{"ssrc": 2001}, {"ssrc": 2002}]}


async def watch(client: RawClient, producer: str, **options: Any) -> str:
    """Consume a producer, and return the consumer's id."""
    consumed = await client.ok("consume", transportId=await receive_transport(client), producerId=producer, **options)
    return str(consumed["consumerId"])


async def layers(client: RawClient) -> list[Any]:
    """Take all frames, and return the data of each ``producer_layers``."""
    return [frame["data"] for frame in await client.take_all() if frame["type"] == "producer_layers"]


async def test_a_camera_is_off_until_somebody_watches_it(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        produced = await camera(ada, await send_transport(ada), rtpParameters=simulcast())
        await trio.sleep(OFF_AFTER - 0.1)
        assert await layers(ada) == []
        await trio.sleep(0.2)
        assert await layers(ada) == [{"producerId": produced, "active": [False, False]}]
        consumer = await watch(ben, produced)
        assert await layers(ada) == []
        await ben.ok("resume", consumerId=consumer)
        assert await layers(ada) == [{"producerId": produced, "active": [True, True]}]
        await ben.ok("set_layers", consumerId=consumer, spatial=0, temporal=0)
        await trio.sleep(OFF_AFTER + 0.1)
        assert await layers(ada) == [{"producerId": produced, "active": [True, False]}]
        await ben.ok("pause", consumerId=consumer)
        await trio.sleep(OFF_AFTER + 0.1)
        assert await layers(ada) == [{"producerId": produced, "active": [False, False]}]
        assert await layers(ben) == []


async def test_a_viewer_that_leaves_wants_nothing_any_more(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        produced = await camera(ada, await send_transport(ada))
        await watch(ben, produced, paused=False)
        await trio.sleep(20)
        assert await layers(ada) == []
        await ben.close()
        await trio.sleep(OFF_AFTER + 0.1)
        assert await layers(ada) == [{"producerId": produced, "active": [False]}]


async def test_there_is_no_event_about_sound(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        await microphone(ada, await send_transport(ada))
        await trio.sleep(3 * OFF_AFTER)
        assert await layers(ada) == []


async def test_an_event_about_a_producer_never_comes_after_its_end(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ada,) = await rig.joined("ada")
        produced = await camera(ada, await send_transport(ada))
        await trio.sleep(OFF_AFTER / 2)
        await ada.ok("close", producerId=produced)
        await trio.sleep(3 * OFF_AFTER)
        assert await layers(ada) == []


async def flood(ben: RawClient) -> None:
    """Let Ben cause more events than a replay log keeps."""
    for _ in range(limits.MAX_UNACKNOWLEDGED_BYTES // limits.MAX_MESSAGE_BYTES + 2):
        await ben.ok("message", data="x" * (limits.MAX_MESSAGE_BYTES - 2))


async def test_a_client_that_lost_events_gets_the_present_state(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        (ben,) = await rig.joined("ben")
        ada = await rig.connect()
        session = await join(ada, "ada")
        transport = await send_transport(ada)
        produced = await camera(ada, transport)
        await microphone(ada, transport)
        await trio.sleep(OFF_AFTER + 0.1)
        await flood(ben)
        await wait_all_tasks_blocked()
        again = await rig.connect()
        again.last_event = ada.last_event
        assert (await again.ok("resume_session", **session))["lost"] is True
        assert await layers(again) == [{"producerId": produced, "active": [False]}]
