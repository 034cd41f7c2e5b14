"""Values and exceptions that cross the boundary between Python and Rust."""

import threading
from random import Random

import pytest

from sfu.dataplane.core import DataPlaneCore
from sfu.dataplane.interface import Path, TransportId
from sfu.dataplane.values import PathSelected
from sfu.wire.srtp import SrtpKeys, SrtpProfile
from tests.dataplane.core_with_clients import Rig, binding_request

DATAGRAM = b"anything"


@pytest.mark.parametrize(
    "path",
    [
        Path("192.0.2.1", 1),
        Path("2001:db8::1", 65535, 3),
        Path("fe80::1%2", 9),
    ],
)
def test_addresses_come_back_unchanged(path: Path) -> None:
    rig = Rig()
    client = rig.client(connected=False)
    client.path = path
    rig.core.receive(binding_request(client.transport), path, 0.0)
    assert rig.core.take_events() == [PathSelected(client.transport, path)]
    rig.core.send(path, DATAGRAM)
    assert [to for to, _ in rig.sent] == [path, path]


@pytest.mark.parametrize("host", ["somewhere.example", "", "192.0.2", "fe80::1%eth0", "::1%"])
def test_a_host_that_is_no_numeric_address_raises_value_error(host: str) -> None:
    with pytest.raises(ValueError, match="not a numeric address"):
        Rig().core.send(Path(host, 1), DATAGRAM)


def test_keys_too_short_for_their_profile_raise_value_error() -> None:
    rig = Rig()
    client = rig.client(connected=False)
    short = SrtpKeys(SrtpProfile.AEAD_AES_256_GCM, receive=bytes(28), send=bytes(28))
    with pytest.raises(ValueError, match="sizes of their profile"):
        rig.core.set_keys(client.transport, short)
    client.connect()


def test_an_exception_of_transmit_reaches_the_caller_and_the_core_goes_on() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()

    def fail(path: Path, datagram: bytes) -> None:
        raise ConnectionError("no network")

    broken = DataPlaneCore(fail, Random(0))
    with pytest.raises(ConnectionError):
        broken.send(receiver.path, b"x")
    assert broken.totals().packets_out == 0
    sender.send_rtp(1)
    assert len(receiver.packets()) == 1


def test_commands_may_come_from_any_thread() -> None:
    rig = Rig()
    sender, _, receiver, _ = rig.call()
    threads = [
        threading.Thread(target=rig.core.add_transport, args=(TransportId(100 + number),)) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for number in range(50):
        sender.send_rtp(number)
    for thread in threads:
        thread.join()
    assert len(receiver.packets()) == 50
    assert rig.core.totals().transports == 10


def test_transmit_may_give_commands_to_its_core() -> None:
    def remove(path: Path, datagram: bytes) -> None:
        core.remove_transport(TransportId(1))

    core = DataPlaneCore(remove, Random(0))
    core.add_transport(TransportId(1))
    core.send(Path("192.0.2.1", 1), b"x")
    assert core.totals().transports == 0
    assert core.totals().packets_out == 1
