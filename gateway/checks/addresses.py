"""Whether the addresses for media lead anywhere."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import trio

from gateway.checks.findings import Finding, error, ok, unknown, warning
from gateway.config import Config
from gateway.config.exposure import serves_others
from sfu import BadAddress, BadAnnouncement
from sfu.addresses import machine_addresses
from sfu.dataplane.udp import bind_all, can_bind
from sfu.listening import prepare_listening

_CARRIER_NAT: Final = ip_network("100.64.0.0/10")  # RFC 6598
_LOOP_SECONDS: Final = 1.0
_TRIES: Final = 3
_ALL_VERSIONS: Final = "::"


async def _choose(config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The addresses to listen on, and those that clients get. Raises :exc:`BadAddress` and ``OSError``."""
    listening = await prepare_listening(config.media)
    choice = listening.choose()
    return choice.listen, listening.announced or choice.announce


async def check_announced(config: Config) -> list[Finding]:
    """Each address that clients get: where it leads. Names must resolve."""
    try:
        listen, announced = await _choose(config)
    except BadAnnouncement as bad:
        return [error(f"media_{bad.setting}", str(bad), "name addresses of this network, or names that resolve")]
    except BadAddress as bad:
        return [error("media_host", str(bad), "media_host takes addresses and names of this machine")]
    except OSError as failed:
        return [unknown("addresses", f"the system does not list its addresses: {failed.strerror}")]
    others = serves_others(config)
    own = [f"media_announce {host}" if config.media_announce else f"address {host}" for host in announced]
    found = [_where_to(subject, host, others) for subject, host in zip(own, announced, strict=True)]
    if others and not config.media_announce and not any(map(_is_public, announced)):
        text = f"clients get only {', '.join(announced)}, which the internet does not reach"
        found.append(warning("media_announce", text, "name the public address, unless all clients are on your network"))
    if config.media_announce and not others:
        found.append(warning("media_announce", "the page is for this machine alone, and media is announced elsewhere"))
    missing = sorted({ip_address(host).version for host in listen} - {ip_address(host).version for host in announced})
    if config.media_announce and missing:
        names = " and ".join(f"IPv{version}" for version in missing)
        found.append(warning("media_announce", f"has no {names} address, though the gateway listens on one"))
    return found


def _where_to(subject: str, host: str, others: bool) -> Finding:
    address = ip_address(host)
    if address.is_loopback:
        text = "leads to this machine alone"
        return warning(subject, text, "set media_host or media_announce") if others else ok(subject, text)
    if address.is_link_local:
        return error(subject, "counts on one link only, and clients cannot use it", "name another address")
    if _is_public(host):
        return ok(subject, "leads to clients on the internet")
    if address in _CARRIER_NAT:
        return warning(subject, "belongs to the NAT of a provider, and others cannot reach it", "set media_announce")
    return ok(subject, "leads to clients on the same network")


def _is_public(host: str) -> bool:
    return ip_address(host).is_global


async def check_loop(config: Config) -> list[Finding]:
    """Whether datagrams come to the gateway on each address that clients get. Only what this machine can try: a NAT
    often does not send packets back to the network from which they come."""
    try:
        listen, announced = await _choose(config)
    except (BadAddress, OSError):
        return []
    own = {each.address for each in machine_addresses()} | set(listen)
    found: dict[str, Finding] = {}

    async def send(host: str) -> None:
        found[host] = await _reach_own(host) if host in own else await _reach_nat(config, listen, host)

    async with trio.open_nursery() as nursery:
        for host in announced:
            nursery.start_soon(send, host)
    return [found[host] for host in announced]


async def _reach_own(host: str) -> Finding:
    try:
        with ExitStack() as stack:
            [receiver] = [stack.enter_context(bound) for bound in bind_all([host], 0)]
            arrived = await _arrives(receiver, (host, receiver.getsockname()[1]))
    except OSError as failed:
        return error(f"media to {host}", f"cannot be sent: {failed.strerror}")
    if arrived:
        return ok(f"media to {host}", "comes back to this machine")
    return error(f"media to {host}", "does not arrive, not even from this machine", "look at the firewall's rules")


async def _reach_nat(config: Config, listen: Sequence[str], host: str) -> Finding:
    """Try the way through the NAT, to the port that it forwards."""
    subject = f"media to {host}"
    elsewhere = f"try UDP port {config.media_port} from another network"
    inside = next((one for one in listen if _version(one) == _version(host) and not ip_address(one).is_loopback), None)
    if inside is None:
        return warning(subject, f"the gateway listens on no IPv{_version(host)} address behind this one")
    try:
        with ExitStack() as stack:
            [receiver] = [stack.enter_context(bound) for bound in bind_all([inside], config.media_port)]
            arrived = await _arrives(receiver, (host, receiver.getsockname()[1]))
    except OSError as failed:
        return unknown(subject, f"cannot be tried: {failed.strerror}", elsewhere)
    if arrived:
        return ok(subject, "comes back through the NAT")
    return unknown(subject, "nothing came back; many NATs send nothing back to their own network", elsewhere)


async def _arrives(receiver: socket.socket, target: tuple[str, int]) -> bool:
    """Whether a datagram from another port of this machine arrives at the receiver."""
    text = b"trio-sfu doctor"
    receiving = trio.socket.from_stdlib_socket(receiver.dup())
    with receiving, socket.socket(receiver.family, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for _ in range(_TRIES):
            sender.sendto(text, target)
            with trio.move_on_after(_LOOP_SECONDS / _TRIES):
                while (await receiving.recvfrom(2048))[0] != text:
                    pass
                return True
    return False


def _version(host: str) -> int:
    return ip_address(host).version


async def check_ipv6(config: Config) -> list[Finding]:
    """Whether clients with IPv6 alone reach the gateway."""
    return list(_ipv6(config, await _announced_or_none(config)))


async def _announced_or_none(config: Config) -> tuple[str, ...]:
    try:
        return (await _choose(config))[1]
    except (BadAddress, OSError):
        return ()


def _ipv6(config: Config, announced: Sequence[str]) -> Iterator[Finding]:
    asked = [host for host in config.media_host or () if ":" in host]
    if not can_bind("::1"):
        if asked:
            yield error("IPv6", "this machine has no IPv6, and media_host asks for it", f"leave {asked[0]} out")
        else:
            yield ok("IPv6", "this machine has none, and clients use IPv4")
        return
    addresses: list[IPv4Address | IPv6Address] = [ip_address(each.address) for each in machine_addresses()]
    public = [str(address) for address in addresses if address.version == 6 and address.is_global]
    if any(":" in host for host in announced):
        yield ok("IPv6", "clients get an IPv6 address")
    elif public and serves_others(config):
        text = f"this machine has {public[0]}, and clients do not get it"
        yield warning("IPv6", text, f'add "{public[0]}" or "{_ALL_VERSIONS}" to media_host')
    else:
        yield ok("IPv6", "no address for clients, who use IPv4")
