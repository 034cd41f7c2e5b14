"""The settings of one gateway, and how a file, the environment and the command line set them."""

from gateway.config.config import SETTINGS, Config, is_secret

__all__ = ["SETTINGS", "Config", "is_secret"]
