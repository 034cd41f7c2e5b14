"""The statistics of a session's own media."""

from trio.testing import MockClock

from tests.session.memory_gateway import microphone, open_rig, receive_transport, send_transport


async def test_stats_combine_the_measurements_with_the_sources(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        ada, ben = await rig.joined("ada", "ben")
        sending = await send_transport(ada)
        voice = await microphone(ada, sending)
        heard = await ben.ok("consume", transportId=await receive_transport(ben), producerId=voice)
        stats = await ada.ok("stats")
        assert stats["transports"] == [{"transportId": sending, "direction": "send", "state": "new"}]
        assert [(entry["producerId"], entry["source"]) for entry in stats["producers"]] == [(voice, "microphone")]
        assert stats["consumers"] == []
        (consumer,) = (await ben.ok("stats"))["consumers"]
        assert (consumer["consumerId"], consumer["packets"]) == (heard["consumerId"], 0)
