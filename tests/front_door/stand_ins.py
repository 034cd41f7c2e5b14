"""The channels of a gateway without a gateway, for tests that need none."""

import structlog

from gateway.channel.channels import Channels
from gateway.config import Config
from gateway.ops.metrics import Metrics


def no_channels() -> Channels:
    """The channels of a gateway in which nobody has joined."""
    return Channels(Config(), Metrics(), structlog.get_logger(), (), lambda: 0, lambda: 0)
