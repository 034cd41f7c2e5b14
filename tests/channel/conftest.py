"""Fixtures for the tests of channels."""

from tests.session.memory_gateway import slow_goodbyes

__all__ = ["slow_goodbyes"]
