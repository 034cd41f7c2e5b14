"""One task reads the sockets of many endpoints."""

import socket

import trio

from tests.eventually import eventually
from tools.light import Poller


async def test_a_socket_may_come_and_go_after_the_end_of_its_poller() -> None:
    poller, reads = Poller(), list[str]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as early, socket.socket() as late:
        early.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            poller.add(early, lambda: reads.append(early.recv(9).decode()))
            early.sendto(b"here", early.getsockname())
            await eventually(lambda: reads == ["here"])
            nursery.cancel_scope.cancel()
        poller.add(late, lambda: None)
        poller.remove(late)
        poller.remove(early)
