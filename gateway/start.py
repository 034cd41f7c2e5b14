"""Opens what a gateway needs at its start: keys, certificate, TCP ports and media ports."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog
import trio

import sfu
from gateway.config import Config
from gateway.config.exposure import accidental_exposure
from gateway.gateway import Gateway
from gateway.http.sockets import open_listeners, show_address
from gateway.http.tls import CertificateError, Tls, load_certificate
from gateway.identity.keys import KeyFileError, load_keys
from gateway.presence.durable import Durable, open_durable
from gateway.presence.signatures import Signer, WebhookKeyError, load_signer
from gateway.presence.store import StoreError
from gateway.presence.webhook_metrics import WebhookMetrics
from protocol.errors import RequestError

if TYPE_CHECKING:
    from gateway.presence.webhook_service import Webhooks

log = structlog.get_logger(__name__)

_ADDRESS_HINT: Final = "; media-host takes addresses of this machine, media-announce the public address of a NAT"

JOURNAL_SECONDS: Final = 5.0
"""Seconds that the end of the journal has to reach the disk when a gateway stops."""

OpenRouter = Callable[[sfu.MediaSettings], AbstractAsyncContextManager[sfu.Router]]


class StartError(Exception):
    """The gateway cannot start. The message gives the reason in one line."""


async def keep_journal(stack: AsyncExitStack, gateway: Gateway) -> Durable | None:
    """Keep the journal in ``state_dir``, if that is set, until the stack ends. Raises :exc:`StartError`."""
    config = gateway.config
    if config.state_dir is None:
        return None
    feed = gateway.tell_backends_later()
    journal = open_durable(
        gateway.journal,
        feed,
        gateway.channels.records,
        config.state_dir,
        keep=config.journal_entries,
        exit_timeout=config.goodbye_timeout + JOURNAL_SECONDS,
        figures=gateway.journal_figures,
    )
    try:
        return await stack.enter_async_context(journal)
    except StoreError as error:
        raise StartError(str(error)) from error


def check_webhook_keys(config: Config) -> Signer:
    """Read the secrets that sign webhooks. Raises :exc:`StartError`."""
    try:
        return load_signer(config.webhook_keys)
    except WebhookKeyError as error:
        raise StartError(str(error)) from error


async def send_webhooks(stack: AsyncExitStack, gateway: Gateway, durable: Durable | None) -> Webhooks | None:
    """Follow the changes for the receivers of webhooks, if there are any, until the stack ends.

    Raises :exc:`StartError`.
    """
    config = gateway.config
    if not config.webhook_urls:
        return None
    # Most gateways send none, and importing it takes time and memory.
    from gateway.presence.webhook_service import open_webhooks

    opened = open_webhooks(
        config.webhook_urls,
        check_webhook_keys(config),
        timeout=config.webhook_timeout,
        backlog=config.webhook_backlog,
        journal=gateway.journal,
        feed=gateway.backend_feed,
        lists=gateway.channels,
        durable=durable,
    )
    try:
        webhooks = await stack.enter_async_context(opened)
    except RequestError as refused:
        why = f"cannot follow the channels for webhook_urls: {refused.message}; see max_watches"
        raise StartError(why) from refused
    gateway.metrics.registry.register(WebhookMetrics(webhooks.receivers.values()))
    return webhooks


def check(config: Config) -> None:
    """Find mistakes before anything opens, and before a gateway waits for its place. Raises :exc:`StartError`."""
    check_exposure(config)
    check_token_keys(config)
    check_webhook_keys(config)
    open_tls(config)


def check_exposure(config: Config) -> None:
    """Raises :exc:`StartError` if other machines could join by accident."""
    if (exposure := accidental_exposure(config)) is not None:
        raise StartError(exposure)


def check_token_keys(config: Config) -> None:
    """Read the keys before any port opens. The gateway reads them for itself. Raises :exc:`StartError`."""
    try:
        load_keys(config.token_keys)
    except KeyFileError as error:
        raise StartError(str(error)) from error


def open_tls(config: Config) -> Tls | None:
    """Read the certificate, if there is one. Raises :exc:`StartError`."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        return Tls(load_certificate(config.tls_cert, config.tls_key, datetime.now(UTC)))
    except CertificateError as error:
        raise StartError(str(error)) from error


async def open_tcp(host: str, port: int) -> Sequence[trio.SocketListener]:
    """Open the listeners of a TCP port. Raises :exc:`StartError`."""
    try:
        return await open_listeners(host, port)
    except (OSError, UnicodeError) as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: Exception) -> StartError:
    """The error for a TCP port that cannot be opened."""
    return StartError(f"cannot listen on {show_address((host, port))} (TCP): {reason_text(error)}")


async def enter_routers(stack: AsyncExitStack, config: Config, open_router: OpenRouter) -> list[sfu.Router]:
    """Open a router for each plane, on the first group of media ports that is free. Raises :exc:`StartError`."""
    *others, last = config.media_groups
    for group in others:
        failure: StartError | None = None
        async with AsyncExitStack() as opened:
            # An exception that leaves the routers, which have nurseries, would come out in a group.
            try:
                routers = [await _enter_router(opened, settings, open_router) for settings in group]
            except StartError as error:
                failure = error
            else:
                await stack.enter_async_context(opened.pop_all())
                return routers
        if not _is_taken(failure.__cause__):
            raise failure
        log.info("media ports taken, trying the next ones", why=str(failure))
    return [await _enter_router(stack, settings, open_router) for settings in last]


def _is_taken(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


async def _enter_router(stack: AsyncExitStack, settings: sfu.MediaSettings, open_router: OpenRouter) -> sfu.Router:
    try:
        return await stack.enter_async_context(open_router(settings))
    except sfu.BadAnnouncement as error:
        setting = "media-" + error.setting.replace("_", "-")
        raise StartError(f"cannot announce the addresses of {setting}: {error}") from error
    except sfu.BadAddress as error:
        raise StartError(f"cannot listen on the addresses of media-host: {error}") from error
    except (OSError, ValueError) as error:
        hosts = [error.filename] if isinstance(error, OSError) and error.filename else settings.hosts or ()
        where = ", ".join(show_address((host, settings.port)) for host in hosts)
        hint = _ADDRESS_HINT if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL else ""
        raise StartError(f"cannot open the media port on {where} (UDP): {reason_text(error)}{hint}") from error


def reason_text(error: Exception) -> str:
    """The reason of an error of the system, in words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
