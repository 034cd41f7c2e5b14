"""Both shells are data planes."""

from random import Random

from sfu.dataplane.interface import DataPlane
from sfu.dataplane.memory import MemoryDataPlane
from sfu.dataplane.udp import UdpDataPlane


def test_the_shells_offer_all_that_the_slow_path_asks_of_a_data_plane() -> None:
    planes: list[DataPlane] = [UdpDataPlane(["127.0.0.1"], 0), MemoryDataPlane(lambda path, datagram: None, Random(0))]
    for plane in planes:
        assert plane.totals().transports == 0
        plane.close()
        plane.close()
