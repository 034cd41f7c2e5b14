"""Fixtures of the connections' tests."""

from tests.session.rig import slow_goodbyes

__all__ = ["slow_goodbyes"]
