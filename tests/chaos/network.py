"""A network for one test, whose links can be cut without a sign to either side.

The gateway lives in one network namespace and each group of clients in another.  A bridge joins them.  A disabled port
of the bridge drops packets in both directions, without a reset or an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import field, frozen

from tools.namespaces import configure, enter, new_namespaces, path, why_not

_DISABLED: Final = "0"
_FORWARDING: Final = "3"


@frozen
class Network:
    """A network with the gateway at ``host``.  ``places`` has the paths of the clients' namespaces."""

    host: str
    places: tuple[str, ...] = ()
    options: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "options", ("--host", self.host, "--open", "--media-host", self.host))

    def cut(self, place: int) -> None:
        """Cut the link between that place and the gateway."""
        configure("bridge", "link", "set", "dev", _port(place), "state", _DISABLED)

    def heal(self, place: int) -> None:
        configure("bridge", "link", "set", "dev", _port(place), "state", _FORWARDING)


LOOPBACK: Final = Network("127.0.0.1")


def why_no_namespaces() -> str | None:
    """Why this machine cannot make such a network, or None if it can."""
    try:
        configure("bridge", "-Version")
    except OSError as error:
        return f"network namespaces need {error.filename} (Debian: iproute2)"
    return why_not("bridge")


@contextmanager
def open_network(places: int) -> Iterator[Network]:
    """Make the network.  During the block this thread, and processes that it starts, are in the gateway's namespace."""
    with new_namespaces(places + 1) as namespaces:  # the last one is the gateway's
        paths = tuple(path(namespace) for namespace in namespaces[:-1])
        _build(namespaces[-1], namespaces[:-1], paths)
        yield Network("10.0.0.1", paths)


def _build(home: int, namespaces: list[int], paths: tuple[str, ...]) -> None:
    configure("ip", "link", "set", "lo", "up")
    configure("ip", "link", "add", "hub", "type", "bridge")
    configure("ip", "address", "add", "10.0.0.1/24", "dev", "hub")
    configure("ip", "link", "set", "hub", "up")
    for place, (namespace, name) in enumerate(zip(namespaces, paths, strict=True)):
        configure("ip", "link", "add", _port(place), "type", "veth", "peer", "name", "uplink", "netns", name)
        configure("ip", "link", "set", _port(place), "master", "hub", "up")
        enter(namespace)
        configure("ip", "address", "add", f"10.0.0.{10 + place}/24", "dev", "uplink")
        configure("ip", "link", "set", "uplink", "up")
        enter(home)


def _port(place: int) -> str:
    return f"port{place}"
