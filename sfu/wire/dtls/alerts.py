"""Reading a peer's alerts after the handshake without OpenSSL, which would keep some 90 kB for it.

After the handshake only alerts matter (RFC 5246 section 7.2), since nothing else runs over DTLS here.  A key and a salt
are enough to read them.  This covers the AEAD ciphers, which every browser chooses.  With others OpenSSL stays.
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
    """An AEAD cipher.  All lengths are in bytes.

    ``salt`` is the length of the nonce's secret part, ``explicit`` of the part that each record carries (RFC 5288
    section 3, RFC 7905 section 2).  ``hash_name`` is the hash function of the PRF.
    """

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
"""By the ends of OpenSSL's cipher names, which begin with the key exchange."""


@frozen(repr=False)
class AlertReader:
    """Reads the alerts of one peer, which writes with ``key`` and ``salt``."""

    suite: Suite
    key: bytes
    salt: bytes

    @classmethod
    def of(cls, connection: SSL.Connection, *, is_client: bool) -> "AlertReader | None":
        """A reader for a connection after its handshake, or None for other ciphers.  ``is_client`` is our role."""
        name = connection.get_cipher_name() or ""
        suite = next((SUITES[ending] for ending in SUITES if name.endswith(ending)), None)
        master, server, client = connection.master_key(), connection.server_random(), connection.client_random()
        if suite is None or not (master and server and client):
            return None
        # RFC 5246 section 6.3: the write keys of client and server, then the salts of both.
        block = prf(master, b"key expansion" + server + client, 2 * (suite.key + suite.salt), suite.hash_name)
        keys, salts = block[: 2 * suite.key], block[2 * suite.key :]
        if is_client:
            return cls(suite, keys[suite.key :], salts[suite.salt :])
        return cls(suite, keys[: suite.key], salts[: suite.salt])

    def ending_untrusted(self, record: Record) -> str | None:
        """Why this record ends the association.  None if it does not end it, or if the peer did not write it."""
        if record.content_type != ALERT or (alert := self._open_untrusted(record)) is None or len(alert) != 2:
            return None
        level, description = alert
        if description == 0:
            return CLOSE_NOTIFY
        return f"fatal alert {description}" if level == _FATAL else None

    def _open_untrusted(self, record: Record) -> bytes | None:
        """The decrypted content, or None if the peer did not seal it."""
        explicit, sealed = record.fragment[: self.suite.explicit], record.fragment[self.suite.explicit :]
        size = len(sealed) - _TAG
        if size < 0:
            return None
        # Epoch and sequence number (RFC 6347 section 4.1.2.1), type and version, and the length of the content.
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
