"""TLS on the TCP port (RFC 8446): the certificate, and the handshake with a stranger.

A connection that begins with a handshake record becomes a TLS stream. The same port takes media over TCP, whose first
byte is another one. Browsers send nothing to a plain port of a page, so a plain HTTP request is a mistake: the client
learns the right address.
"""

import ssl
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import h11
import trio
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from gateway.http.http1 import ClientGone, HttpError
from gateway.http.prefixed_stream import PrefixedStream
from gateway.ops.http_refusal import HttpRefusal

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_HANDSHAKE_BYTES: Final = 32 * 1024
"""Bytes that a client may send before its handshake is complete. A real one needs about 2,000."""
_READ: Final = 4096
_HANDSHAKE: Final = b"\x16"
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Those of TLS 1.2 with forward secrecy and authenticated encryption. TLS 1.3 has no others."""


class CertificateError(Exception):
    """The certificate or its key cannot be used. The message names the file and the reason in one line."""


class HandshakeFailed(Exception):
    """The client and the gateway agreed on nothing. The message gives the reason."""


def load_certificate(cert: Path, key: Path, now: datetime) -> ssl.SSLContext:
    """Read a certificate (PEM, followed by those of its issuers) and its private key, and make a TLS context of them.

    Raises :exc:`CertificateError` if a file cannot be read, if the two do not fit, or if the certificate does not
    count at ``now``.
    """
    _check_time(cert, now)
    _check_key(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"the private key in tls-key {key} does not belong to the first certificate in tls-cert {cert}"
        else:
            why = f"tls-cert {cert} and tls-key {key} cannot be used: {_words(error)}"
        raise CertificateError(why) from None
    except OSError as error:
        raise CertificateError(f"cannot read tls-cert {cert} or tls-key {key}: {error.strerror}") from None
    return context


def _check_time(path: Path, now: datetime) -> None:
    try:
        [certificate, *_] = x509.load_pem_x509_certificates(_read(path, "tls-cert"))
    except ValueError:
        raise CertificateError(f"tls-cert {path} is no certificate in PEM") from None
    if certificate.not_valid_after_utc < now:
        raise CertificateError(f"the certificate in tls-cert {path} has expired at {certificate.not_valid_after_utc}")
    if certificate.not_valid_before_utc > now:
        raise CertificateError(f"the certificate in tls-cert {path} counts from {certificate.not_valid_before_utc} on")


def _check_key(path: Path) -> None:
    """OpenSSL would ask for a passphrase on the terminal."""
    try:
        serialization.load_pem_private_key(_read(path, "tls-key"), None)
    except TypeError:
        raise CertificateError(f"the private key in tls-key {path} must have no passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"tls-key {path} is no private key in PEM") from None


def _read(path: Path, setting: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"cannot read {setting} {path}: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise CertificateError(f"{setting} {path} has more than {MAX_FILE_BYTES} bytes")
    return content


class _HandshakeStream(PrefixedStream):
    """Bounds the bytes that are read before the handshake is complete."""

    def __init__(self, stream: trio.abc.Stream, head: bytes) -> None:
        super().__init__(stream, head)
        self._room: int | None = MAX_HANDSHAKE_BYTES

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._room is None:
            return await super().receive_some(max_bytes)
        data = await super().receive_some(_READ)
        self._room -= len(data)
        if self._room < 0:
            raise trio.BrokenResourceError(f"the handshake has more than {MAX_HANDSHAKE_BYTES} bytes")
        return data

    def handshake_done(self) -> None:
        """Read without this bound from now on."""
        self._room = None


class Tls:
    """Makes TLS streams. ``context`` may be replaced. The streams that exist keep the former one."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def may_begin(self, first: bytes) -> bool:
        """Whether a connection whose first byte is this may be TLS."""
        return first == _HANDSHAKE

    async def accept(self, stream: trio.abc.Stream, first: bytes, at_most: float) -> PrefixedStream:
        """Do the handshake of a connection that begins with ``first``, in ``at_most`` seconds.

        Raises :exc:`HandshakeFailed`, and :exc:`ClientGone` if the client closed the connection.
        """
        below = _HandshakeStream(stream, first)
        secure = trio.SSLStream(below, self.context, server_side=True, https_compatible=True)
        try:
            with trio.fail_after(at_most):
                await secure.do_handshake()
        except trio.TooSlowError:
            raise HandshakeFailed("the TLS handshake took too long") from None
        except trio.ClosedResourceError as error:
            raise ClientGone from error
        except trio.BrokenResourceError as error:
            if isinstance(error.__cause__, ssl.SSLEOFError | OSError) and not _is_refusal(error.__cause__):
                raise ClientGone from error
            raise HandshakeFailed(f"the TLS handshake failed: {_words(error.__cause__ or error)}") from None
        below.handshake_done()
        return PrefixedStream(secure, b"")


def _is_refusal(cause: BaseException) -> bool:
    """Whether TLS itself failed. ``ssl.SSLError`` is an ``OSError``, too."""
    return isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError)


def _words(error: BaseException) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return reason.lower().replace("_", " ") if reason else str(error)


def https_needed(request: h11.Request) -> HttpError:
    """The answer to a plain HTTP request on a port with TLS: the right address for a page, an error for the rest.

    A request that carries something is refused: it would carry it in the open next time as well. The caller has checked
    that the gateway serves the host of the request.
    """
    headers = dict(request.headers)
    is_page = request.method in {b"GET", b"HEAD"} and not {b"authorization", b"upgrade"} & headers.keys()
    if is_page and b"host" in headers and request.target.startswith(b"/"):
        where = [(b"location", b"https://" + headers[b"host"] + request.target)]
        return HttpError(HTTPStatus.PERMANENT_REDIRECT, "this port speaks HTTPS", where, HttpRefusal.PLAIN_HTTP)
    return HttpError(HTTPStatus.BAD_REQUEST, "this port speaks HTTPS and WSS only", (), HttpRefusal.PLAIN_HTTP)
