"""The choice of the addresses to listen on and to announce to clients."""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import ifaddr
from attrs import frozen

LOOPBACK: Final = "127.0.0.1"
MOST_ADDRESSES: Final = 16
"""A wildcard stands for at most this many addresses, because clients have to try each of them."""

# Bridges and tunnels of containers and virtual machines lead to guests of this machine, not to clients.  OpenWrt calls
# its own network br-lan.
_BRIDGES: Final = re.compile(
    r"br-(?!lan|wan)|docker|podman|cni|veth|virbr|vnet|vmnet|vboxnet|lxc|lxd|incus|flannel|cali|cilium|weave|kube|nerdctl"
)
# Connecting a UDP socket sends nothing, but makes the system choose a route.  Nobody has these addresses: they are for
# documentation (RFC 5737, RFC 3849).
_ELSEWHERE: Final = ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8::1"))


@frozen
class InterfaceAddress:
    """A numeric address of this machine, and the name of the interface that has it."""

    interface: str
    address: str

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.address).version

    @property
    def rank(self) -> int:
        """A lower rank is better.  0 leads to clients, 1 to guests of this machine, 2 to this machine alone."""
        if ipaddress.ip_address(self.address).is_loopback:
            return 2
        return 1 if _BRIDGES.match(self.interface) else 0


@frozen
class AddressChoice:
    """``listen`` has the addresses to bind, in order and once each.  ``announce`` has the addresses for clients."""

    listen: tuple[str, ...]
    announce: tuple[str, ...]


def choose_addresses(
    hosts: Sequence[str] | None, machine: Sequence[InterfaceAddress], interface: str | None = None
) -> AddressChoice:
    """The addresses to bind and to announce, from numeric ``hosts`` and the addresses that the machine has.

    A wildcard stands for each address of the machine.  Each gets a socket of its own, so that an answer leaves from the
    address that the client asked.  One socket on the wildcard would not do that.  The best of these addresses are
    announced.  Loopback and the bridges of containers are announced only if there is no other address.

    Without ``hosts`` the choice is loopback and the ``interface`` address (see :func:`interface_address`), if there is
    one, because Firefox does not send media to loopback.

    Raises ``ValueError`` for a host that is not a numeric address.
    """
    if hosts is None:
        both = (LOOPBACK,) if interface is None else (LOOPBACK, interface)
        return AddressChoice(both, both)
    named: dict[str, None] = {}
    found: dict[str, InterfaceAddress] = {}
    for host in hosts:
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            found.update((each.address, each) for each in machine if each.version == address.version)
        else:
            named[str(address)] = None
    candidates = sorted((each for each in found.values() if each.address not in named), key=lambda each: each.rank)
    candidates = candidates[:MOST_ADDRESSES]
    best = min((each.rank for each in candidates), default=0)
    # Announce every address that the operator names.  A wildcard beside them adds only addresses that lead to clients.
    announced = [each.address for each in candidates if each.rank == (0 if named else best)]
    return AddressChoice((*named, *(each.address for each in candidates)), (*named, *announced))


def machine_addresses() -> list[InterfaceAddress]:
    """The addresses that this machine has now.  Raises ``OSError`` if the system does not list them."""
    found = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text)
            # Link-local addresses need a scope that candidates cannot carry.
            if not address.is_link_local:
                found.append(InterfaceAddress(str(adapter.name), str(address)))
    return found


def interface_address(machine: Iterable[InterfaceAddress]) -> str | None:
    """One address that leads to clients, or None.

    The address of the default route is the first choice, and IPv4 goes before IPv6.
    """
    usable = [each.address for each in sorted(machine, key=lambda each: each.version) if each.rank == 0]
    for family, elsewhere in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            if (address := probe.getsockname()[0]) in usable:
                return str(address)
    return usable[0] if usable else None
