"""A running gateway takes over another configuration (SIGHUP). Nobody is dropped, and a bad one changes nothing.

Everything that can fail comes first, in a thread, since files may be slow. The change itself is one step.
"""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
import trio
from attrs import frozen

from gateway.config import Config
from gateway.config.exposure import accidental_exposure
from gateway.config.file import ConfigError
from gateway.config.reloading import merge
from gateway.gateway import tokens_of
from gateway.http.tls import CertificateError, load_certificate
from gateway.identity.keys import KeyFileError
from gateway.identity.tokens import Tokens
from gateway.ops.log import LEVELS, set_level

log = structlog.get_logger(__name__)

RELOAD_SECONDS: Final = 10.0
"""The longest time that reading the files may take. Meanwhile no other signal counts."""

Reread = Callable[[], Config]
"""Reads the configuration again, from all its sources. May raise :exc:`ConfigError`."""


class Reloadable(Protocol):
    """The part of :class:`gateway.server.Server` that a reload needs."""

    @property
    def config(self) -> Config: ...
    def reconfigure(self, config: Config, tokens: Tokens | None, certificate: ssl.SSLContext | None) -> None: ...


@frozen
class _Loaded:
    config: Config
    changed: list[str]
    left: list[str]
    tokens: Tokens | None
    certificate: ssl.SSLContext | None


async def reload(server: Reloadable, reread: Reread) -> None:
    """Read configuration, keys and certificate again, and use them from now on. Raises no ``Exception``."""
    loaded = None
    why = f"it took longer than {RELOAD_SECONDS:.0f} s"
    try:
        with trio.move_on_after(RELOAD_SECONDS):
            loaded = await trio.to_thread.run_sync(_load, server.config, reread, abandon_on_cancel=True)
    except (ConfigError, KeyFileError, CertificateError, ValueError) as error:
        why = str(error)
    except Exception as error:
        why = f"{type(error).__name__}, see the next line"
        log.warning("reload failed", exc_info=True)
    if loaded is None:
        log.warning("configuration not reloaded", why=why, effect="all settings stay as they are")
        return
    before, after = server.config.log_level, loaded.config.log_level
    server.reconfigure(loaded.config, loaded.tokens, loaded.certificate)
    set_level(min(before, after, key=LEVELS.index))  # the next lines shall not be lost
    log.info("configuration reloaded", changed=loaded.changed)
    if loaded.left:
        log.warning("settings need a restart", settings=loaded.left, effect="these stay as they are")
    set_level(after)


def _load(running: Config, reread: Reread) -> _Loaded:
    config, changed, left = merge(running, reread())
    if (exposure := accidental_exposure(config)) is not None:
        raise ConfigError(exposure)
    certificate = None
    if config.tls_cert is not None and config.tls_key is not None:
        certificate = load_certificate(config.tls_cert, config.tls_key, datetime.now(UTC))
    return _Loaded(config, changed, left, tokens_of(config), certificate)
