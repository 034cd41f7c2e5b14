"""The gateway process and the network that tests of this folder run in."""

from collections.abc import Iterator

import pytest

from tests.chaos.network import LOOPBACK, Network, open_network, why_no_namespaces

PLACES = 3


@pytest.fixture
def network() -> Iterator[Network]:
    """One that can be cut, where this machine allows it; else loopback, without ``places``."""
    if why_no_namespaces() is not None:
        yield LOOPBACK
    else:
        with open_network(PLACES) as network:
            yield network


@pytest.fixture
def divided(network: Network) -> Network:
    """One that can be cut."""
    if not network.places:
        pytest.skip(why_no_namespaces() or "no network namespaces here")
    return network
