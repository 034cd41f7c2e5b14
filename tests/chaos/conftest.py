"""The network in which the tests of this folder run."""

from collections.abc import Iterator

import pytest

from tests.chaos.network import LOOPBACK, Network, open_network, why_no_namespaces

PLACES = 3


@pytest.fixture
def network() -> Iterator[Network]:
    """A network whose links can be cut, or loopback without ``places`` if this machine does not allow that."""
    if why_no_namespaces() is not None:
        yield LOOPBACK
    else:
        with open_network(PLACES) as network:
            yield network


@pytest.fixture
def divided(network: Network) -> Network:
    """A network whose links can be cut.  Without one, the test is skipped."""
    if not network.places:
        pytest.skip(why_no_namespaces() or "no network namespaces here")
    return network
