"""Keeps the addresses of a router up to date, while addresses of the machine come and go and names change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
import trio

from sfu.addresses import AddressChoice, InterfaceAddress, choose_addresses, interface_address, machine_addresses
from sfu.dataplane.udp import can_bind
from sfu.hostnames import BadAddress, Hosts, is_wildcard
from sfu.tcp_addresses import TcpAnnouncement
from sfu.wire.candidates import host_candidates, passive_tcp_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfu.context import RouterContext
    from sfu.dataplane.udp import UdpDataPlane
    from sfu.settings import MediaSettings

log = structlog.get_logger(__name__)


class BadAnnouncement(BadAddress):
    """A host to announce is unusable: clients cannot send to it, or its name has no address.

    ``setting`` is the field of :class:`sfu.MediaSettings` that has it.
    """

    def __init__(self, message: str, setting: str = "announce") -> None:
        super().__init__(message)
        self.setting = setting


class Listening:
    """Keeps one router's sockets and candidates up to date.  :func:`prepare_listening` makes it.

    Existing transports keep the candidates that their clients have, because ICE-lite cannot add to them.
    """

    def __init__(
        self, settings: MediaSettings, hosts: Sequence[str] | None, announced: Hosts, tcp_announced: TcpAnnouncement
    ) -> None:
        self._settings = settings
        self._hosts = hosts
        self._announced = announced
        self._tcp_announced = tcp_announced
        self._warned: dict[str, str] = {}

    def choose(self) -> AddressChoice:
        """Choose the addresses to bind and to announce on the machine as it is now.

        Raises :exc:`BadAddress` if there is no address to bind, and ``OSError`` if the system does not list its
        addresses.
        """
        machine = machine_addresses()
        # A new IPv6 address cannot be bound while the system checks that no other machine has it.
        unusable = {host for host in self._choose(machine).listen if not can_bind(host)}
        choice = self._choose([each for each in machine if each.address not in unusable])
        if not choice.listen:
            raise BadAddress("there is no address to listen on")
        return choice

    def _choose(self, machine: Sequence[InterfaceAddress]) -> AddressChoice:
        return choose_addresses(self._hosts, machine, interface_address(machine) if self._hosts is None else None)

    @property
    def announced(self) -> tuple[str, ...]:
        """The addresses that are announced instead of the router's own, if any."""
        return self._announced.addresses

    @property
    def tcp_announced(self) -> tuple[tuple[str, int | None], ...]:
        """The TCP addresses that are announced instead of the listeners', if any."""
        return self._tcp_announced.addresses

    async def run(self, plane: UdpDataPlane, context: RouterContext) -> None:
        """Watch the machine's addresses, and the names, for as long as the router is open."""
        async with trio.open_nursery() as nursery:
            if self._hosts is None or any(is_wildcard(host) for host in self._hosts):
                nursery.start_soon(self._watch_addresses, plane, context)
            if self._announced.names or self._tcp_announced.hosts.names:
                nursery.start_soon(self._watch_names, context)

    async def _watch_addresses(self, plane: UdpDataPlane, context: RouterContext) -> None:
        while True:
            await trio.sleep(self._settings.address_interval)
            try:
                self.follow(plane, context)
            except OSError as error:
                self._warn_once("addresses", f"the addresses of this machine cannot be read: {error}")
            else:
                self._warned.pop("addresses", None)

    def follow(self, plane: UdpDataPlane, context: RouterContext) -> None:
        """Listen on and announce the addresses that the machine has now."""
        machine = machine_addresses()
        listening = {host for host, _ in plane.addresses}
        wanted = self._choose(machine).listen
        for host in wanted:
            if host not in listening and can_bind(host):
                self._listen(plane, host)
        gone = listening.difference(wanted)
        # Keep one socket even if all addresses are gone, because a router always needs an address to announce.
        for host in gone if len(gone) < len(plane.addresses) else ():
            plane.stop_listening(host)
            log.info("address gone", address=host, media_port=plane.port)
        bound = {host for host, _ in plane.addresses}
        announced = self._choose([each for each in machine if each.address in bound]).announce
        context.set_addresses(plane.addresses, self.announced or [host for host in announced if host in bound])

    def _listen(self, plane: UdpDataPlane, host: str) -> None:
        try:
            plane.listen(host)
        except OSError as error:
            self._warn_once(host, f"cannot listen on {host}: {error.strerror}")
        else:
            self._warned.pop(host, None)
            log.info("address found", address=host, media_port=plane.port)

    async def _watch_names(self, context: RouterContext) -> None:
        while True:
            await trio.sleep(self._settings.name_interval)
            for hosts in (self._announced, self._tcp_announced.hosts):
                for name in hosts.names:
                    await self._look_up(hosts, name)
            if self._announced.names:
                context.set_addresses(context.addresses, self.announced)
            context.set_tcp_announced(self.tcp_announced)

    async def _look_up(self, hosts: Hosts, name: str) -> None:
        before = hosts.answer_of(name)
        try:
            await hosts.look_up(name)
        except BadAddress as error:
            self._warn_once(name, str(error))
            return
        self._warned.pop(name, None)
        if (after := hosts.answer_of(name)) != before:
            log.info("name has other addresses", name=name, addresses=after, were=before)

    def _warn_once(self, about: str, what: str) -> None:
        """Log the warning ``what``, unless the last warning with the same ``about`` had the same text."""
        if self._warned.get(about) != what:
            self._warned[about] = what
            log.warning(what, effect="the router keeps the addresses it has")


async def prepare_listening(settings: MediaSettings) -> Listening:
    """Resolve the names in the settings.

    Raises :exc:`BadAddress` for unusable hosts to listen on, :exc:`BadAnnouncement` for unusable hosts to announce.
    """
    hosts = None if settings.hosts is None else await _resolve(settings.hosts, settings.name_timeout)
    try:
        announced = Hosts(settings.announce, settings.name_timeout, for_clients=True)
        await announced.look_up_all()
        host_candidates((address, 1) for address in announced.addresses)
    except ValueError as error:
        raise BadAnnouncement(str(error)) from error
    try:
        tcp_announced = TcpAnnouncement(settings.tcp_announce, settings.name_timeout)
        await tcp_announced.hosts.look_up_all()
        passive_tcp_candidates((address, 1) for address in tcp_announced.hosts.addresses)
    except ValueError as error:
        raise BadAnnouncement(str(error), "tcp_announce") from error
    return Listening(settings, hosts, announced, tcp_announced)


async def _resolve(given: Sequence[str], at_most: float) -> tuple[str, ...]:
    hosts = Hosts(given, at_most)
    await hosts.look_up_all()
    unusable: set[str] = set()
    for name in hosts.names:
        # localhost resolves to ::1 even on machines without IPv6.
        refused = {address for address in hosts.answer_of(name) if not can_bind(address)}
        if len(refused) < len(hosts.answer_of(name)):
            unusable |= refused
    return tuple(address for address in hosts.addresses if address not in unusable)
