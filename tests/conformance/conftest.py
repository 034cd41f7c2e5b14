"""Fixtures for the conformance tests."""

from datetime import UTC, datetime

import pytest

from sfu.wire.certificate import generate_certificate
from tests.session.memory_gateway import slow_goodbyes
from tools.light.transport import Identity

__all__ = ["identity", "slow_goodbyes"]


@pytest.fixture(scope="session")
def identity() -> Identity:
    """The certificate of all clients with media."""
    return Identity.of(generate_certificate(datetime.now(UTC)))
