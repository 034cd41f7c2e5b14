"""Fixtures for the tests of sessions."""

from tests.session.memory_gateway import slow_goodbyes

__all__ = ["slow_goodbyes"]
