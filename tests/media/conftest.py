"""A router on loopback, and light clients with sockets of their own."""

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Literal, Protocol

import pytest
from attrs import define, field

import sfu
from sfu.wire.certificate import generate_certificate
from tests.eventually import eventually
from tools.light import LightEndpoint, LightTransport, open_endpoint
from tools.light.transport import Identity


@define
class Notices:
    """A peer's owner that records its notices."""

    received: list[tuple[str, object]] = field(factory=list)
    errors: list[Exception] = field(factory=list)
    demands: list[tuple[bool, ...] | None] = field(factory=list)

    def transport_changed(self, transport: sfu.Transport) -> None:
        self.received.append((f"transport {transport.state}", transport))

    def producer_closed(self, producer: sfu.Producer) -> None:
        self.received.append(("producer closed", producer))

    def demand_changed(self, producer: sfu.Producer) -> None:
        self.demands.append(producer.wanted_encodings)

    def consumer_closed(self, consumer: sfu.Consumer, why: sfu.ConsumerEndReason) -> None:
        self.received.append((f"consumer closed: {why}", consumer))

    def consumer_updated(self, consumer: sfu.Consumer) -> None:
        self.received.append(("consumer updated", consumer))

    def failed(self, error: Exception) -> None:
        self.errors.append(error)

    @property
    def words(self) -> list[str]:
        return [word for word, _ in self.received]


@pytest.fixture(scope="session")
def identity() -> Identity:
    return Identity.of(generate_certificate(datetime.now(UTC)))


@pytest.fixture
async def router() -> AsyncIterator[sfu.Router]:
    async with sfu.open_router(sfu.MediaSettings(port=0)) as router:
        yield router


class Connect(Protocol):
    def __call__(
        self,
        peer: sfu.Peer,
        direction: Literal["send", "receive"],
        dtls_role: Literal["client", "server"] = "client",
        address: tuple[str, int] | None = None,
    ) -> AbstractAsyncContextManager[tuple[sfu.Transport, LightEndpoint]]: ...


@pytest.fixture
def connect(identity: Identity) -> Connect:
    """Connects a light client to a new transport of a peer, over the router's first address or another one."""

    @asynccontextmanager
    async def connect(
        peer: sfu.Peer,
        direction: Literal["send", "receive"],
        dtls_role: Literal["client", "server"] = "client",
        address: tuple[str, int] | None = None,
    ) -> AsyncIterator[tuple[sfu.Transport, LightEndpoint]]:
        transport = peer.create_transport(direction)
        light = LightTransport(
            identity, transport.ice_parameters, transport.dtls_parameters, dtls_role=dtls_role, rng=random.Random()
        )
        async with open_endpoint(light, address or peer.context.addresses[0]) as endpoint:
            peer.connect_transport(transport.id, light.dtls_parameters)
            endpoint.start()
            # The side that sends the last flight connects first, and must not send before the other has connected.
            await endpoint.connected()
            await eventually(lambda: transport.connected)
            yield transport, endpoint

    return connect
