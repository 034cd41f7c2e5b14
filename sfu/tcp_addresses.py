"""The TCP addresses that clients get for media: those of the page's listeners, or those that the operator names."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from sfu.hostnames import Hosts, split_port

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@frozen
class TcpAddresses:
    """``listeners`` are numeric hosts with ports.  ``announced`` are those that clients get instead, if there are any.
    An announced port of None is that of the listeners."""

    listeners: tuple[tuple[str, int], ...] = ()
    announced: tuple[tuple[str, int | None], ...] = ()

    def listening(self, listeners: Sequence[tuple[str, int]]) -> TcpAddresses:
        return attrs.evolve(self, listeners=tuple(listeners))

    def announcing(self, announced: Sequence[tuple[str, int | None]]) -> TcpAddresses:
        return attrs.evolve(self, announced=tuple(announced))

    def beside(self, hosts: Sequence[str], own: Collection[str]) -> list[tuple[str, int]]:
        """The addresses for clients that get UDP candidates on ``hosts``.

        ``own`` are addresses of this machine.  Another host stands for them behind a NAT, which must pass the TCP port
        on as well.  A listener on loopback is of no use there.
        """
        if self.announced:
            default = self.listeners[0][1] if self.listeners else None
            given = ((host, port or default) for host, port in self.announced)
            return [(host, port) for host, port in given if port is not None]
        found: dict[str, int] = {}
        for host in hosts:
            for listener, port in self.listeners:
                if _leads_to(host, listener, own):
                    found.setdefault(host, port)
        return list(found.items())


def _leads_to(host: str, listener: str, own: Collection[str]) -> bool:
    """Whether a connection to ``host`` comes to the listener."""
    address, listens_on = ipaddress.ip_address(host), ipaddress.ip_address(listener.partition("%")[0])
    if address.version != listens_on.version:
        return False
    return listens_on.is_unspecified or address == listens_on or (host not in own and not listens_on.is_loopback)


class TcpAnnouncement:
    """Hosts with ports that the operator names, and the addresses that their names have now.

    Raises :exc:`sfu.BadAddress` for text that is neither ``host`` nor ``host:port``.
    """

    def __init__(self, given: Sequence[str], timeout: float) -> None:
        self._given = [split_port(each) for each in given]
        self.hosts = Hosts((host for host, _ in self._given), timeout, for_clients=True)

    @property
    def addresses(self) -> tuple[tuple[str, int | None], ...]:
        """All numeric addresses with their ports, in order and without repetition."""
        found = ((address, port) for host, port in self._given for address in self.hosts.answer_of(host))
        return tuple(dict.fromkeys(found))
