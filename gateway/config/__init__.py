"""The settings of one gateway: what they are, and how a file, the environment and the command line give them."""

from gateway.config.config import SETTINGS, Config, is_secret

__all__ = ["SETTINGS", "Config", "is_secret"]
