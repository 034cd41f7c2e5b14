"""Whether the ports are free, and who has them otherwise."""

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio

from gateway.checks.findings import Finding, error, ok, warning
from gateway.config import Config
from gateway.http.sockets import open_listeners, show_address
from sfu import BadAddress
from sfu.dataplane.udp import bind_all
from sfu.listening import prepare_listening

_LISTENING: Final = "0A"  # TCP_LISTEN of include/net/tcp_states.h
_OURS: Final = ("sfu-gateway", "gateway")


async def check_tcp(config: Config) -> list[Finding]:
    """The ports for the page and for metrics."""
    wanted = [(config.host, config.port)]
    if config.metrics_port is not None:
        wanted.append((config.metrics_host, config.metrics_port))
    return [await _check_tcp(host, port) for host, port in wanted]


async def _check_tcp(host: str, port: int) -> Finding:
    where = f"TCP {show_address((host, port))}"
    try:
        listeners = await open_listeners(host, port)
    except (OSError, UnicodeError) as refused:
        return _explain(where, refused, "tcp", port)
    for listener in listeners:
        await trio.aclose_forcefully(listener)
    return ok(where, "free" if port else "any free port")


async def check_udp(config: Config) -> list[Finding]:
    """The media ports of all planes, on each address that the gateway would listen on."""
    try:
        hosts = (await prepare_listening(config.media)).choose().listen
    except (BadAddress, OSError):
        return []  # the check of the addresses says so
    wanted = sorted({settings.port for settings in config.media_of_planes})
    return [_check_udp(host, port) for port in wanted for host in hosts]


def _check_udp(host: str, port: int) -> Finding:
    where = f"UDP {show_address((host, port))}"
    try:
        for bound in bind_all([host], port):
            bound.close()
    except OSError as refused:
        return _explain(where, refused, "udp", port)
    return ok(where, "free" if port else "any free port")


def _explain(where: str, refused: Exception, kind: str, port: int) -> Finding:
    number = refused.errno if isinstance(refused, OSError) else None
    if isinstance(refused, socket.gaierror):
        return error(where, f"the name has no address: {refused.strerror}", "take an address of this machine")
    if number == errno.EADDRINUSE:
        return _taken(where, list(_owners(kind, port)))
    if number == errno.EACCES:
        remedy = f"take a port from {_first_free_port()} on behind a proxy, or AmbientCapabilities=CAP_NET_BIND_SERVICE"
        return error(where, "only a privileged process may open this port", remedy)
    if number == errno.EADDRNOTAVAIL:
        remedy = "take an address of this machine; media_announce names the public one"
        return error(where, "this machine does not have the address", remedy)
    return error(where, f"cannot be opened: {getattr(refused, 'strerror', None) or refused}")


def _taken(where: str, owners: Sequence[tuple[int, str, bool]]) -> Finding:
    if not owners:
        return error(where, "taken by a process that this user cannot see", "run this command as root to see it")
    names = ", ".join(f"{name} (process {number})" for number, name, _ in owners)
    if all(is_gateway for _, _, is_gateway in owners):
        return warning(where, f"taken by a running gateway: {names}", "nothing, if this is the one that you check")
    return error(where, f"taken by {names}", "stop it, or choose another port")


def _owners(kind: str, port: int) -> Iterator[tuple[int, str, bool]]:
    """Yield the processes that have a socket on this local port, with their names, and whether each is a gateway."""
    inodes = {f"socket:[{inode}]" for name in (kind, f"{kind}6") for inode in _inodes(name, port)}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid() and _has_one(process, inodes):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                yield int(process.name), (process / "comm").read_text().strip(), _is_gateway(command)


def _is_gateway(command: Sequence[str]) -> bool:
    """Whether a command line is ``sfu-gateway serve`` or ``python -m gateway serve``."""
    before, found, _ = "\0".join(command).partition("\0serve")
    return bool(found) and before.rpartition("\0")[2].rpartition("/")[2] in _OURS


def _inodes(kind: str, port: int) -> Iterator[str]:
    try:
        lines = Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        listens = kind.startswith("udp") or fields[3] == _LISTENING
        if listens and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _has_one(process: Path, targets: set[str]) -> bool:
    links: Callable[[], Iterator[Path]] = (process / "fd").iterdir
    try:
        return any(_target(link) in targets for link in links())
    except OSError:  # the process of another user, or one that has ended
        return False


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _first_free_port() -> int:
    with suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    return 1024
