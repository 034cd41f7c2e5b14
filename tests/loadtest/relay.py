"""A bad network in front of a gateway's media port: it loses, repeats, delays and swaps packets to clients.

The gateway listens on 127.0.0.1 and announces 127.0.0.2, where the relay is, on the same port.
"""

import heapq
import itertools
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLEAN_HOST, BAD_HOST = "127.0.0.1", "127.0.0.2"
_LARGEST = 2048

Impairment = Callable[[int, bytes], list[tuple[float, bytes]]]
"""Turns the n-th RTP packet to a client into datagrams, each with a delay in seconds."""


def drop_every_tenth(number: int, packet: bytes) -> list[tuple[float, bytes]]:
    return [] if number % 10 == 9 else [(0, packet)]


def repeat_every_tenth(number: int, packet: bytes) -> list[tuple[float, bytes]]:
    return [(0, packet)] * (1 + (number % 10 == 9))


def delay(number: int, packet: bytes) -> list[tuple[float, bytes]]:
    return [(0.08, packet)]


def hold_back_every_tenth(number: int, packet: bytes) -> list[tuple[float, bytes]]:
    return [(0.1 if number % 10 == 9 else 0, packet)]


def swallow(number: int, packet: bytes) -> list[tuple[float, bytes]]:
    return []


def stop_in_the_middle(number: int, packet: bytes) -> list[tuple[float, bytes]]:
    return [(0, packet)] if number < 200 else []


class Relay:
    """One socket for the clients, and one to the gateway for each client."""

    def __init__(self, port: int, impairment: Impairment) -> None:
        self._impairment = impairment
        self._gateway = (CLEAN_HOST, port)
        self._selector = selectors.DefaultSelector()
        self._outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._outside.bind((BAD_HOST, port))
        self._outside.setblocking(False)
        self._selector.register(self._outside, selectors.EVENT_READ)
        self._inside: dict[tuple[str, int], socket.socket] = {}
        self._numbers: dict[tuple[str, int], Iterator[int]] = {}
        self._late: list[tuple[float, int, bytes, tuple[str, int]]] = []
        self._serial = itertools.count()
        self._stop = threading.Event()

    def run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.005):
                if key.fileobj is self._outside:
                    self._from_clients()
                else:
                    self._from_gateway(key.data)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, datagram, client = heapq.heappop(self._late)
                self._outside.sendto(datagram, client)

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        self._selector.close()
        for each in (self._outside, *self._inside.values()):
            each.close()

    def _from_clients(self) -> None:
        try:
            while True:
                datagram, client = self._outside.recvfrom(_LARGEST)
                self._to_gateway(client).send(datagram)
        except OSError:  # nothing more
            return

    def _to_gateway(self, client: tuple[str, int]) -> socket.socket:
        if client not in self._inside:
            inside = self._inside[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            inside.setblocking(False)
            inside.connect(self._gateway)
            self._numbers[client] = itertools.count()
            self._selector.register(inside, selectors.EVENT_READ, client)
        return self._inside[client]

    def _from_gateway(self, client: tuple[str, int]) -> None:
        try:
            while True:
                self._to_client(self._inside[client].recv(_LARGEST), client)
        except OSError:
            return

    def _to_client(self, datagram: bytes, client: tuple[str, int]) -> None:
        is_rtp = 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223
        for later, each in self._impairment(next(self._numbers[client]), datagram) if is_rtp else [(0.0, datagram)]:
            if later:
                heapq.heappush(self._late, (time.monotonic() + later, next(self._serial), each, client))
            else:
                self._outside.sendto(each, client)


@contextmanager
def run_relay(port: int, impairment: Impairment) -> Iterator[None]:
    """Relay for the gateway with this media port, in a thread, for as long as the block runs."""
    relay = Relay(port, impairment)
    thread = threading.Thread(target=relay.run)
    thread.start()
    try:
        yield
    finally:
        relay.stop()
        thread.join(5)
        relay.close()
