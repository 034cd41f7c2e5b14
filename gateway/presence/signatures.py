"""Signatures of webhooks (Standard Webhooks 1.0.0, https://www.standardwebhooks.com)."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import field, frozen

_PREFIX: Final = "whsec_"
_MIN_BYTES: Final = 24
_MAX_BYTES: Final = 64
_MAX_FILE_BYTES: Final = 4096


class WebhookKeyError(Exception):
    """A file with a secret cannot be used. The message names the file and the reason, and quotes nothing of it."""


@frozen
class Signer:
    """Signs with each of its secrets, so that a receiver can change from one secret to the next at any time."""

    secrets: tuple[bytes, ...] = field(repr=False)

    def headers(self, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
        """The headers of a message that is sent at this time, in seconds since 1970."""
        signed = f"{message_id}.{timestamp}.".encode() + body
        signatures = [hmac.digest(secret, signed, "sha256") for secret in self.secrets]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in signatures),
        }


def load_signer(files: Iterable[str]) -> Signer:
    """Read the secrets of some files, each one line of ``whsec_`` and base64. Raises :exc:`WebhookKeyError`."""
    return Signer(tuple(_load(Path(name)) for name in files))


def _load(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES).decode("ascii").strip()
    except OSError as error:
        raise WebhookKeyError(f"cannot read the webhook key {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True) if text.startswith(_PREFIX) else b""
    except binascii.Error:
        secret = b""
    if not _MIN_BYTES <= len(secret) <= _MAX_BYTES:
        raise WebhookKeyError(
            f"the webhook key {path} must be one line: whsec_ and the base64 of {_MIN_BYTES} to {_MAX_BYTES} bytes"
        )
    return secret
