"""Fixtures of the sessions' tests."""

from tests.session.rig import slow_goodbyes

__all__ = ["slow_goodbyes"]
