"""Which settings a running gateway can change, and which need a restart."""

from typing import Final

import attrs

from gateway.config.config import SETTINGS, Config, is_of_media

_FIXED: Final = frozenset(
    {
        "host",
        "port",
        "port_wait",
        "metrics_host",
        "metrics_port",
        "planes",
        "state_dir",
        "journal_entries",
        "log_format",
        "max_voices",
        "web_root",
        "webhook_urls",
        "webhook_keys",
        "webhook_timeout",
        "webhook_backlog",
    }
)
_OF_TLS: Final = frozenset({"tls_cert", "tls_key"})

NEEDS_RESTART: Final = _FIXED | {setting.name for setting in SETTINGS if is_of_media(setting)}
"""The settings that only a restart changes. Sockets and planes are open, and their limits are in the data plane."""


def merge(running: Config, wanted: Config) -> tuple[Config, list[str], list[str]]:
    """Return the configuration to go on with, the names of its changed settings, and those that need a restart.

    TLS cannot begin or end on an open port, but its files may have other names. Raises ``ValueError`` if the changed
    settings do not go together with those that stay.
    """
    fixed = NEEDS_RESTART
    if (running.tls_cert is None) != (wanted.tls_cert is None):
        fixed = fixed | _OF_TLS
    different = [name for name in attrs.fields_dict(Config) if getattr(running, name) != getattr(wanted, name)]
    left = [name for name in different if name in fixed]
    merged = attrs.evolve(wanted, **{name: getattr(running, name) for name in left})
    return merged, [name for name in different if name not in fixed], left
