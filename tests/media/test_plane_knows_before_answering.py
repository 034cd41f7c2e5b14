"""The data plane knows the next packets of a client before the client is invited to send them."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import sfu
from tests.media.conftest import Notices
from tests.media.memory_network import open_network
from tests.media.test_closing import connected
from tools.light import Identity


async def test_the_data_plane_has_the_keys_before_the_last_flight_leaves(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noting(method: str, name: str) -> None:
        original = getattr(network.plane, method)

        def noted(*args: Any) -> None:
            done.append(name)
            original(*args)

        monkeypatch.setattr(network.plane, method, noted)

    async with (
        open_network(sfu.MediaSettings()) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
    ):
        noting("set_keys", "keys")
        noting("send", "flight")
        await connected(network, ada, ada.create_transport("send"), identity)
        await trio.testing.wait_all_tasks_blocked()
    assert done[done.index("keys") :][1:3] == ["flight", "flight"]  # first the last flight, then the goodbye
    assert done.count("keys") == 1


async def test_the_data_plane_has_the_round_trip_of_the_handshake(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_trips: list[tuple[int, float]] = []
    async with (
        open_network(sfu.MediaSettings()) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
    ):
        monkeypatch.setattr(network.plane, "set_round_trip", lambda *values: round_trips.append(values))
        transport = ada.create_transport("send")
        began = trio.current_time()
        await connected(network, ada, transport, identity)
        took = trio.current_time() - began
    [(plane_id, round_trip)] = round_trips
    assert plane_id == transport.plane_id
    assert 0 <= round_trip <= took
