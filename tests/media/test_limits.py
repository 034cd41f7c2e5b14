"""A client that goes on sending far more than it may loses its transport, and learns why."""

import trio
from trio.testing import MockClock

import sfu
from sfu.dataplane.interface import DropReason
from sfu.settings import TransportState
from tests.media.conftest import Notices
from tests.media.memory_network import open_network
from tests.media.rtp import Rtp, opus
from tools.light.transport import Identity

SETTINGS = sfu.MediaSettings(max_packet_rate=100)


async def test_a_client_that_floods_its_transport_loses_it_and_a_client_within_its_limits_does_not(
    autojump_clock: MockClock, identity: Identity
) -> None:
    for rate, closes in [(90, False), (5000, True)]:
        notices = Notices()
        async with open_network(SETTINGS) as network, sfu.open_peer(network.router, notices, name="ada") as ada:
            transport = ada.create_transport("send")
            client = network.client(transport, identity)
            ada.connect_transport(transport.id, client.transport.dtls_parameters)
            await trio.sleep(3)
            ada.produce(transport.id, "audio", opus(1111))
            sent = 0
            while sent < 6 * rate and transport.state is not TransportState.CLOSED:
                for _ in range(rate // 90):
                    sent += 1
                    packet = client.transport.seal_rtp(bytes(Rtp(111, sent & 0xFFFF, 960 * sent, 1111, b"voice")))
                    client.deliver(packet, client.path)
                await trio.sleep(1 / 90)
            ended = ["producer closed", "transport failed", "transport closed"]
            assert notices.words == ["transport connected", *(ended if closes else [])]
            assert (network.plane.totals().drops[DropReason.TOO_MUCH_MEDIA] > 0) == closes
