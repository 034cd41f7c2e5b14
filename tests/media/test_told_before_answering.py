"""The data plane knows the next packets of a client before the client is invited to send them."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

import sfu
from sfu.wire.demux import Protocol, classify
from tests.media.conftest import Notices
from tests.media.memory_network import open_network
from tests.media.test_closing import connected
from tools.light import Identity


async def test_the_data_plane_knows_paths_and_keys_before_the_client_is_answered(
    autojump_clock: MockClock, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noting(method: str, name: Any) -> None:
        original = getattr(network.plane, method)

        def noted(*args: Any) -> None:
            done.append(name(*args) if callable(name) else name)
            original(*args)

        monkeypatch.setattr(network.plane, method, noted)

    async with (
        open_network(sfu.MediaSettings()) as network,
        sfu.open_peer(network.router, Notices(), name="ada") as ada,
    ):
        noting("add_path", "address")
        noting("set_keys", "keys")
        noting("send", lambda _, datagram: "answer" if classify(datagram) is Protocol.STUN else "flight")
        await connected(network, ada, ada.create_transport("send"), identity)
        await trio.testing.wait_all_tasks_blocked()
    assert done[:2] == ["address", "answer"]
    assert done[done.index("keys") :][1:3] == ["flight", "flight"]  # the last flight; then the goodbye of leaving
    assert done.count("keys") == 1
