"""Reading a peer's alerts after the handshake without OpenSSL, which would keep some 90 kB for it.

Nothing runs over DTLS here but its handshake, so an alert is all that still matters (RFC 5246 section 7.2), and to read
one takes a key and a salt.  Only for AEAD ciphers, which every browser chooses; whoever speaks another keeps OpenSSL.
"""

import hmac
from collections.abc import Mapping
from typing import Final

from attrs import frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from OpenSSL import SSL

from sfu.wire.dtls.records import ALERT, Record

CLOSE_NOTIFY: Final = "close_notify"

_TAG: Final = 16
_FATAL: Final = 2


@frozen
class Suite:
    """An AEAD cipher.  ``salt`` is the length of what is not sent of its nonce, ``explicit`` of what is (RFC 5288
    section 3, RFC 7905 section 2); ``hash_name`` is that of the PRF."""

    aead: type[AESGCM] | type[ChaCha20Poly1305]
    key: int
    salt: int
    explicit: int
    hash_name: str


SUITES: Final[Mapping[str, Suite]] = {
    "AES128-GCM-SHA256": Suite(AESGCM, 16, 4, 8, "sha256"),
    "AES256-GCM-SHA384": Suite(AESGCM, 32, 4, 8, "sha384"),
    "CHACHA20-POLY1305": Suite(ChaCha20Poly1305, 32, 12, 0, "sha256"),
}
"""By how OpenSSL calls them, behind the exchange of keys."""


@frozen(repr=False)
class AlertReader:
    """``key`` and ``salt`` are those with which the peer writes."""

    suite: Suite
    key: bytes
    salt: bytes

    @classmethod
    def of(cls, connection: SSL.Connection, *, is_client: bool) -> "AlertReader | None":
        """For a connection whose handshake is done; ``is_client`` is our own role.  None for other ciphers."""
        name = connection.get_cipher_name() or ""
        suite = next((SUITES[ending] for ending in SUITES if name.endswith(ending)), None)
        master, server, client = connection.master_key(), connection.server_random(), connection.client_random()
        if suite is None or not (master and server and client):
            return None
        # RFC 5246 section 6.3: keys for writing of the client and the server, then the salts of both.
        block = prf(master, b"key expansion" + server + client, 2 * (suite.key + suite.salt), suite.hash_name)
        keys, salts = block[: 2 * suite.key], block[2 * suite.key :]
        if is_client:
            return cls(suite, keys[suite.key :], salts[suite.salt :])
        return cls(suite, keys[: suite.key], salts[: suite.salt])

    def ending_untrusted(self, record: Record) -> str | None:
        """Why this record ends the association; None where it does not, or is not the peer's at all."""
        if record.content_type != ALERT or (alert := self._open_untrusted(record)) is None or len(alert) != 2:
            return None
        level, description = alert
        if description == 0:
            return CLOSE_NOTIFY
        return f"fatal alert {description}" if level == _FATAL else None

    def _open_untrusted(self, record: Record) -> bytes | None:
        """What is inside; None where it was not sealed by the peer."""
        explicit, sealed = record.fragment[: self.suite.explicit], record.fragment[self.suite.explicit :]
        size = len(sealed) - _TAG
        if size < 0:
            return None
        # Epoch and number (RFC 6347 section 4.1.2.1), type and version, and the length of what is inside.
        authenticated = record.raw[3:11] + record.raw[:3] + size.to_bytes(2, "big")
        nonce = self.salt + explicit if explicit else _xor(self.salt, record.raw[3:11].rjust(len(self.salt), b"\0"))
        try:
            return self.suite.aead(self.key).decrypt(nonce, sealed, authenticated)
        except InvalidTag:
            return None


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def prf(secret: bytes, seed: bytes, length: int, hash_name: str) -> bytes:
    """The pseudorandom function of TLS 1.2 (RFC 5246 section 5); ``seed`` begins with the label."""
    output, step = b"", seed
    while len(output) < length:
        step = hmac.digest(secret, step, hash_name)
        output += hmac.digest(secret, step + seed, hash_name)
    return output[:length]
