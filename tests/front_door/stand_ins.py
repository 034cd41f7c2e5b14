"""The channels of a gateway without a gateway, for tests that need none."""

import structlog

from gateway.channel.channels import Channels
from gateway.config import Config
from gateway.ops.metrics import Metrics
from gateway.presence.journal import Journal


def no_channels() -> Channels:
    """The channels of a gateway in which nobody has joined."""
    journal = Journal(1_000_000, 100_000, 1, lambda: 0.0)
    return Channels(Config(), Metrics(), structlog.get_logger(), (), lambda: 0, journal, lambda: 0)
