"""The files and folders that settings name: whether this user can use them."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.checks.findings import Finding, error, ok, warning
from gateway.config import Config
from gateway.http.tls import CertificateError, load_certificate
from gateway.identity.keys import KeyFileError, load_keys
from gateway.presence.signatures import WebhookKeyError, load_signer

_SOON: Final = timedelta(days=7)
_LITTLE: Final = 500 * 1024**2
"""Bytes of a disk. The journal takes about 200 MB."""


def check_files(config: Config) -> list[Finding]:
    """Every setting that names a file or a folder."""
    return [*_token_keys(config), *_webhook_keys(config), *_certificate(config), *_state_folder(config), *_page(config)]


def _token_keys(config: Config) -> Iterator[Finding]:
    if not config.token_keys:
        return
    try:
        keys = load_keys(config.token_keys)
    except KeyFileError as unusable:
        yield error("token_keys", str(unusable), "sfu-gateway reads them as its own user: look at owner and mode")
    else:
        yield ok("token_keys", f"{len(keys)} keys: {', '.join(sorted({key.algorithm for key in keys}))}")


def _webhook_keys(config: Config) -> Iterator[Finding]:
    if not config.webhook_keys:
        return
    try:
        signer = load_signer(config.webhook_keys)
    except WebhookKeyError as unusable:
        hint = "write whsec_ and the base64 of 32 random bytes into it, readable for the user of sfu-gateway"
        yield error("webhook_keys", str(unusable), hint)
    else:
        yield ok("webhook_keys", f"{len(signer.secrets)} secrets")


def _certificate(config: Config) -> Iterator[Finding]:
    if config.tls_cert is None or config.tls_key is None:
        return
    now = datetime.now(UTC)
    try:
        load_certificate(config.tls_cert, config.tls_key, now)
    except CertificateError as unusable:
        yield error("tls_cert", str(unusable), "sfu-gateway reads both files as its own user: look at owner and mode")
        return
    try:
        load_certificate(config.tls_cert, config.tls_key, now + _SOON)
    except CertificateError:
        hint = "renew it, and send SIGHUP to the gateway"
        yield warning("tls_cert", f"{config.tls_cert} expires within {_SOON.days} days", hint)
    else:
        yield ok("tls_cert", f"{config.tls_cert} fits its key")


def _state_folder(config: Config) -> Iterator[Finding]:
    folder = config.state_dir
    if folder is None:
        return
    # The gateway makes the folder if need be. Unlike Path.exists, os.access says no where this user may not look.
    existing = next(path for path in (folder, *folder.absolute().parents) if os.access(path, os.F_OK))
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        yield error("state_dir", f"this user cannot write to {existing}", "give it to the user of the gateway")
        return
    free = shutil.disk_usage(existing).free
    if free < _LITTLE:
        yield warning(
            "state_dir", f"{existing} has {free // 1024**2} MB left", "make room: a full disk delays the journal"
        )
    else:
        yield ok("state_dir", f"{folder} can be written")


def _page(config: Config) -> Iterator[Finding]:
    root = config.web_root or Path(__file__).parents[1] / "web" / "dist"
    if (root / "index.html").is_file():
        yield ok("page", f"in {root}")
    else:
        yield warning("page", f"{root} has no index.html, so the gateway serves no page", "make run builds it")
