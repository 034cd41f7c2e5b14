"""A data plane that had a bug has forgotten every client, and every client gets a notice."""

from trio.testing import MockClock

import sfu
from sfu.dataplane.values import PlaneFailed
from tests.media.conftest import Notices
from tests.media.memory_network import open_network
from tests.media.rtp import opus

SETTINGS = sfu.MediaSettings()


async def test_clients_of_a_failed_plane_lose_their_media_and_can_begin_again(
    autojump_clock: MockClock,
) -> None:
    speaker, listener = Notices(), Notices()
    async with (
        open_network(SETTINGS) as network,
        sfu.open_peer(network.router, speaker, name="ada") as ada,
        sfu.open_peer(network.router, listener, name="ben") as ben,
    ):
        producer = ada.produce(ada.create_transport("send").id, "audio", opus(1111))
        receiving = ben.create_transport("receive")
        ben.consume(receiving.id, producer, network.router.context.capabilities, stream="ada", paused=False)
        network.router.handle(PlaneFailed("a bug"), 0.0)
        assert speaker.words == ["producer closed", "transport failed", "transport closed"]
        assert [word for word in listener.words if word.startswith("transport")] == [
            "transport failed",
            "transport closed",
        ]
        assert any(word.startswith("consumer closed") for word in listener.words)
        assert network.router.context.slow_path_errors == 1
        assert network.router.counts() == sfu.RouterCounts(peers=2, transports=0, producers=0, consumers=0)
        assert speaker.errors == listener.errors == []
        ada.create_transport("send")
