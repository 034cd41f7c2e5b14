"""Which addresses to listen on."""

import ipaddress
from collections.abc import Iterable

import ifaddr


def expand_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """Numeric addresses to bind, in order and once each; a wildcard becomes each address of the machine.

    One socket per address answers from the address that was asked, which one on a wildcard does not where a machine
    has several.  Raises ``ValueError`` for what is not a numeric address, and where none is left.
    """
    expanded: dict[str, None] = {}
    for host in hosts:
        address = ipaddress.ip_address(host)
        if address.is_unspecified:
            expanded.update(dict.fromkeys(_machine_addresses(address.version)))
        else:
            expanded[str(address)] = None
    if not expanded:
        raise ValueError("there is no address to listen on")
    return tuple(expanded)


def _machine_addresses(version: int) -> Iterable[str]:
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text)
            # Link-local addresses need a scope that candidates cannot carry.
            if address.version == version and not address.is_link_local:
                yield text
