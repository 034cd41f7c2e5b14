"""The Python client over ``wss:``."""

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.client import ConnectError, connect
from tests.protocol.scripted_server import TIMEOUTS, answer_everything, serve


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a PEM file with a key and a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "gateway.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


async def serve_tls(listener: trio.SocketListener, certificate: Path) -> None:
    """Serve one WebSocket over TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with listener:
        stream = await listener.accept()
        async with trio.SSLStream(stream, context, server_side=True, https_compatible=True) as tls:
            await serve(tls, answer_everything)


@pytest.fixture
async def listener() -> trio.SocketListener:
    return (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]


def url_of(listener: trio.SocketListener) -> str:
    return f"wss://127.0.0.1:{listener.socket.getsockname()[1]}/ws"


async def test_a_wss_url_leads_to_the_server_over_tls(listener: trio.SocketListener, certificate: Path) -> None:
    url = url_of(listener)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_tls, listener, certificate)
        context = ssl.create_default_context(cafile=certificate)
        async with connect(url, timeouts=TIMEOUTS, ssl_context=context) as client:
            await client.ping()


async def test_a_certificate_that_is_not_trusted_is_a_connect_error(
    listener: trio.SocketListener, certificate: Path
) -> None:
    url = url_of(listener)

    async def refused() -> None:
        try:
            await serve_tls(listener, certificate)
        except* trio.BrokenResourceError:
            pass  # the client disconnected

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused)
        with pytest.raises(ConnectError, match="certificate"):
            async with connect(url, timeouts=TIMEOUTS):
                pass
        nursery.cancel_scope.cancel()
