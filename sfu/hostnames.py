"""Host names that operators write in place of addresses."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final

import trio

MOST_ANSWERS: Final = 8
"""The router uses at most this many addresses of one name."""

# RFC 1123 section 2.1, with the underscores of private networks and the letters that IDNA writes in ASCII.  A name
# whose last label is a number would look like an address, so it is none.
_LABEL: Final = r"\w([\w-]{0,61}\w)?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\.?\Z)({_LABEL}\.)*(?=[^.]*[^.\d]){_LABEL}\.?")


class BadAddress(ValueError):
    """An unusable address or name.  The message names it and gives the reason."""


def is_address(host: str) -> bool:
    """Whether the host is a numeric IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_wildcard(host: str) -> bool:
    """Whether the host stands for each address of the machine."""
    return is_address(host) and ipaddress.ip_address(host).is_unspecified


def split_port(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[IPv6]`` or ``[IPv6]:port``.  Without a port, the port is None.

    Raises :exc:`BadAddress` for a port that is none.
    """
    if is_address(text):
        return text, None
    bracketed, _, behind = text.rpartition("]")
    host, colon, port = (bracketed, behind[:1], behind[1:]) if bracketed else text.partition(":")
    if not colon and not port:
        return host.removeprefix("["), None
    if colon != ":" or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise BadAddress(f"{text!r} has no port between 1 and 65535 behind a colon")
    return host.removeprefix("["), int(port)


def check_host(host: str) -> None:
    """Raises :exc:`BadAddress` if the host can be neither a numeric address nor a name."""
    if not is_address(host) and not _NAME.fullmatch(host):
        raise BadAddress(f"{host!r} is neither an address nor a name (it takes no port, no brackets and no URL)")


class Hosts:
    """Addresses and names, with the addresses that the names had at the last look-up.

    ``names`` are the hosts that are no addresses.  With ``for_clients``, a loopback address of a name counts only if
    the name has no other address.  The hosts file often maps a machine's own name to loopback.  Raises
    :exc:`BadAddress` for a host that is neither an address nor a name.
    """

    def __init__(self, hosts: Iterable[str], timeout: float, *, for_clients: bool = False) -> None:
        self._timeout = timeout
        self._for_clients = for_clients
        self._answers: dict[str, tuple[str, ...]] = {}
        for host in hosts:
            check_host(host)
            self._answers[host] = (str(ipaddress.ip_address(host)),) if is_address(host) else ()
        self.names = tuple(host for host in self._answers if not is_address(host))

    @property
    def addresses(self) -> tuple[str, ...]:
        """All numeric addresses, in order and without repetition."""
        return tuple(dict.fromkeys(each for answer in self._answers.values() for each in answer))

    def answer_of(self, name: str) -> tuple[str, ...]:
        return self._answers[name]

    async def look_up(self, name: str) -> None:
        """Look up one of the names.  If that fails, raises :exc:`BadAddress` and keeps the addresses from before."""
        found = await _look_up(name, self._timeout)
        usable = [each for each in found if not (each.is_link_local or each.is_unspecified or each.is_multicast)]
        best = [each for each in usable if not (self._for_clients and each.is_loopback)] or usable
        if not best:
            raise BadAddress(f"the name {name!r} has no address that anybody could send to")
        # Sort them, because name servers change the order of their answers.
        ordered = sorted(best, key=lambda each: (each.version, int(each)))
        self._answers[name] = tuple(str(each) for each in ordered[:MOST_ANSWERS])

    async def look_up_all(self) -> None:
        """Look up all names.  Raises :exc:`BadAddress` for the first that has no address."""
        for name in self.names:
            await self.look_up(name)


async def _look_up(name: str, at_most: float) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        with trio.fail_after(at_most):
            answers = await trio.socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except trio.TooSlowError:
        raise BadAddress(f"the name {name!r} was not resolved within {at_most:g} s") from None
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadAddress(f"the name {name!r} cannot be resolved: {why}") from error
    return {ipaddress.ip_address(str(sockaddr[0])) for *_, sockaddr in answers}
