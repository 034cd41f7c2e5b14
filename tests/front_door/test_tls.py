"""HTTPS and WSS on the gateway's own port: certificates, handshakes of strangers, and media beside them."""

import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
import trio
from cryptography.hazmat.primitives.asymmetric import ec

import sfu
from gateway.config import Config
from gateway.connection.accounts import Accounts
from gateway.http.tls import MAX_HANDSHAKE_BYTES
from gateway.server import Server, StartError, open_server
from protocol import client
from sfu.wire.certificate import generate_certificate
from tests.eventually import eventually
from tests.front_door.made_up_certificates import DAY, Files, make_certificate, pem_of_key
from tests.front_door.memory_front_door import Answer, connect_tcp, parse, read_all, request, upgrade
from tests.front_door.test_media_streams import address_of, hears, metrics, refusals
from tests.media.conftest import Notices
from tests.media.stream_client import connect_stream
from tools.light.transport import Identity

CONFIG = Config(port=0, media_port=0, planes=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def running(files: Files, **settings: Any) -> AsyncIterator[Server]:
    async with open_server(attrs.evolve(CONFIG, tls_cert=files.cert, tls_key=files.key, **settings)) as server:
        yield server


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


async def connect_plain(server: Server) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", port_of(server))


async def connect_tls(server: Server, context: ssl.SSLContext) -> "trio.SSLStream[trio.SocketStream]":
    plain = await connect_plain(server)
    stream = trio.SSLStream(plain, context, server_hostname="localhost", https_compatible=True)
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(plain)
        raise
    return stream


async def get(server: Server, context: ssl.SSLContext, data: bytes) -> Answer:
    async with await connect_tls(server, context) as stream:
        await stream.send_all(data)
        return parse(await read_all(stream))


async def get_plain(server: Server, data: bytes) -> Answer:
    async with await connect_plain(server) as stream:
        await stream.send_all(data)
        return parse(await read_all(stream))


def http_refusals(server: Server) -> dict[str, float]:
    found = metrics(server, "sfu_http_refusals_total")
    return {labels.removeprefix('{reason="').removesuffix('"}'): count for labels, count in found.items()}


async def test_the_page_comes_over_https_and_clients_over_wss(files: Files) -> None:
    context = files.client_context()
    async with running(files) as server:
        assert server.url.startswith("https://127.0.0.1:")
        page = await get(server, context, request("/healthz"))
        assert (page.status, page.text, page.complete) == (200, "ok\n", True)
        assert "strict-transport-security" not in page.headers
        async with client.connect(f"wss://localhost:{port_of(server)}/ws", ssl_context=context) as ada:
            joined = await ada.join("lobby", "Ada")
            assert [each.username for each in joined.participants] == ["Ada"]
        await eventually(lambda: not server.gateway.seats)


async def test_tls_is_modern_and_names_http_1_1(files: Files) -> None:
    async with running(files) as server:
        context = files.client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        stream = await connect_tls(server, context)
        assert (stream.version(), stream.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        await stream.aclose()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        stream = await connect_tls(server, context)
        name, version, _ = stream.cipher()
        assert version == "TLSv1.2"
        assert name.startswith("ECDHE-")
        assert "GCM" in name or "CHACHA20" in name
        await stream.aclose()
        for refuse in ("AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA"):  # without forward secrecy, without AEAD
            context.set_ciphers(f"{refuse}:@SECLEVEL=0")
            with pytest.raises(trio.BrokenResourceError):
                await connect_tls(server, context)


@pytest.mark.filterwarnings("ignore:.*TLSv1_1 is deprecated")
async def test_tls_1_1_is_refused(files: Files) -> None:
    async with running(files) as server:
        context = files.client_context()
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(trio.BrokenResourceError):
            await connect_tls(server, context)
        await eventually(lambda: http_refusals(server) == {"tls": 1})


async def test_browsers_are_told_to_stay_with_https_only_if_the_operator_says_so(files: Files) -> None:
    async with running(files, hsts_seconds=3600) as server:
        answer = await get(server, files.client_context(), request("/healthz"))
        assert answer.headers["strict-transport-security"] == "max-age=3600"
    with pytest.raises(ValueError, match="hsts_seconds needs tls_cert"):
        Config(hsts_seconds=1)


async def test_a_plain_request_for_a_page_is_sent_to_https_and_others_are_refused(files: Files) -> None:
    async with running(files, admin_token="secret") as server:
        host = f"localhost:{port_of(server)}"
        page = await get_plain(server, request("/c/lobby?name=Ada", host=host))
        assert (page.status, page.headers["location"]) == (308, f"https://{host}/c/lobby?name=Ada")
        for data in (
            request("/api/channels", headers={"Authorization": "Bearer secret"}, host=host),
            request("/", "POST", {"Content-Length": "0"}, host=host),
            b"GET / HTTP/1.0\r\n\r\n",
            upgrade(),
        ):
            answer = await get_plain(server, data)
            assert (answer.status, "location" in answer.headers) == (400, False)
            assert "HTTPS" in answer.text
        foreign = await get_plain(server, request("/", host="evil.example"))
        assert (foreign.status, "location" in foreign.headers) == (421, False)
        assert http_refusals(server) == {"plain_http": 5, "host": 1}


async def test_a_page_over_plain_http_is_not_the_gateways_own(files: Files) -> None:
    async with running(files) as server:
        context = files.client_context()
        for scheme, status in (("https", 101), ("http", 403)):
            async with await connect_tls(server, context) as stream:
                host = f"localhost:{port_of(server)}"
                await stream.send_all(upgrade(host=host, origin=f"{scheme}://{host}"))
                assert (await stream.receive_some()).startswith(f"HTTP/1.1 {status} ".encode())


async def test_media_shares_the_port_with_tls(files: Files) -> None:
    async with running(files) as server:
        async with await connect_plain(server) as stream:
            await stream.send_all(struct.pack("!H", 20) + bytes(20))  # a frame of RFC 4571, but no Binding request
            assert await read_all(stream) == b""
        assert refusals(server) == {"malformed": 1}
        assert http_refusals(server) == {}


async def test_a_call_without_udp_works_beside_tls(files: Files) -> None:
    identity = Identity.of(generate_certificate(datetime.now(UTC)))
    async with running(files) as server:
        [router] = server.gateway.routers
        async with (
            sfu.open_peer(router, Notices(), name="ada") as ada,
            sfu.open_peer(router, Notices(), name="bob") as bob,
        ):
            sending, receiving = ada.create_transport("send"), bob.create_transport("receive")
            async with (
                connect_stream(ada, sending, identity, address_of(server)) as microphone,
                connect_stream(bob, receiving, identity, address_of(server)) as speaker,
            ):
                await hears(ada, bob, sending, receiving, microphone, speaker)
                assert (await get(server, files.client_context(), request("/healthz"))).status == 200


async def test_a_handshake_is_bounded_in_time_and_counts_as_half_open(files: Files) -> None:
    async with running(files, tls_handshake_timeout=0.3, max_half_open_connections=2) as server:
        async with await connect_plain(server) as stream:
            await stream.send_all(b"\x16")
            await eventually(lambda: len(server.front_door.half_open) == 1)
            assert await read_all(stream) == b""
        await eventually(lambda: len(server.front_door.half_open) == 0)
        assert http_refusals(server) == {"tls": 1}


async def test_strangers_that_stop_in_their_handshake_shut_nobody_out(files: Files) -> None:
    async with running(files, max_half_open_connections=4, tls_handshake_timeout=60) as server:
        silent = [await connect_plain(server) for _ in range(12)]
        for stream in silent:
            await stream.send_all(b"\x16\x03\x01")
        await eventually(lambda: http_refusals(server) == {"half_open": 8})
        assert (await get(server, files.client_context(), request("/healthz"))).status == 200
        assert len(server.front_door.half_open) <= 4
        assert await silent[0].receive_some() == b""  # no answer in the clear
        for stream in silent:
            await stream.aclose()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x16nonsense" * 100, "the TLS handshake failed: "),
        (
            struct.pack("!BHHBBH", 22, 0x0301, 16000, 1, 1, 0) + bytes(15996)
            + (struct.pack("!BHH", 22, 0x0301, 16000) + bytes(16000)) * 2,
            f"the TLS handshake failed: the handshake has more than {MAX_HANDSHAKE_BYTES} bytes",
        ),
    ],
    ids=["no TLS", "a huge ClientHello"],
)  # fmt: skip
async def test_a_bad_handshake_ends_the_connection_alone(files: Files, data: bytes, why: str) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running(files) as server:
            async with await connect_plain(server) as stream:
                try:
                    await stream.send_all(data)
                    await read_all(stream)
                except trio.BrokenResourceError:
                    pass
            await eventually(lambda: http_refusals(server) == {"tls": 1})
            assert (await get(server, files.client_context(), request("/healthz"))).status == 200
    [line] = [line for line in logs if line["event"] == "request refused"]
    assert line["reason"] == "tls"
    assert line["why"].startswith(why)
    assert "status" not in line


async def test_a_client_that_goes_during_its_handshake_is_no_refusal(files: Files) -> None:
    async with running(files) as server:
        for linger in (b"", struct.pack("ii", 1, 0)):
            stream = await connect_plain(server)
            await stream.send_all(b"\x16\x03\x01")
            await eventually(lambda: len(server.front_door.half_open) == 1)
            if linger:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            await stream.aclose()
            await eventually(lambda: len(server.front_door.half_open) == 0)
        assert http_refusals(server) == {}


async def test_the_address_of_a_stranger_pays_for_handshakes(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts.of
    monkeypatch.setattr(Accounts, "of", lambda self, remote: accounts(self, "192.0.2.1"))  # loopback has no account
    async with running(files) as server:
        account = server.gateway.accounts.of("192.0.2.1")
        assert account is not None
        account.charge(1000, trio.current_time())
        with pytest.raises(trio.BrokenResourceError):
            await connect_tls(server, files.client_context())
        assert http_refusals(server) == {"tls": 1}


async def test_a_tls_client_that_dies_leaves_at_once(files: Files) -> None:
    async with running(files) as server:
        context = files.client_context()
        for abort in (False, True):
            stream = await connect_tls(server, context)
            await stream.send_all(upgrade())
            assert b"101" in await stream.receive_some()
            await eventually(lambda: server.front_door.clients == 1)
            if abort:
                linger = struct.pack("ii", 1, 0)
                stream.transport_stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            await trio.aclose_forcefully(stream)
            await eventually(lambda: server.front_door.clients == 0)


async def test_a_large_refusal_arrives_over_tls_although_the_client_still_sends(files: Files) -> None:
    async with running(files) as server:
        data = request("/", "POST", {"Content-Length": "500000"}, bytes(500_000))
        assert (await get(server, files.client_context(), data)).status == 413


@pytest.mark.parametrize(
    ("begin", "end", "why"),
    [(-2 * DAY, -DAY, "has expired at"), (DAY, 2 * DAY, "counts from")],
)
async def test_a_certificate_that_does_not_count_now_is_no_start(
    tmp_path: Path, begin: timedelta, end: timedelta, why: str
) -> None:
    with pytest.raises(StartError, match=f"the certificate in tls-cert .*call.pem {why}"):
        async with running(make_certificate(tmp_path, begin=begin, end=end)):
            pass


async def test_unusable_files_are_reported_with_their_setting(tmp_path: Path) -> None:
    good, other = make_certificate(tmp_path), make_certificate(tmp_path, "other")
    secret, nothing = tmp_path / "secret.key", tmp_path / "nothing"
    secret.write_bytes(pem_of_key(ec.generate_private_key(ec.SECP256R1()), b"passphrase"))
    nothing.write_bytes(b"nothing")
    for cert, key, why in (
        (good.cert, other.key, "does not belong to the first certificate"),
        (good.cert, secret, "must have no passphrase"),
        (good.cert, nothing, "tls-key .*nothing is no private key in PEM"),
        (nothing, good.key, "tls-cert .*nothing is no certificate in PEM"),
        (tmp_path / "absent", good.key, "cannot read tls-cert .*absent: No such file"),
        (good.cert, tmp_path / "absent", "cannot read tls-key .*absent: No such file"),
    ):
        with pytest.raises(StartError, match=why) as caught:
            async with running(Files(cert, key, good.authority)):
                pass
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="tls_cert and tls_key belong together"):
        Config(tls_cert=good.cert)


async def test_without_tls_a_handshake_is_no_http(files: Files) -> None:
    async with open_server(CONFIG) as server, await connect_tcp(server) as stream:
        await stream.send_all(b"\x16\x03\x01\x02\x00\r\n\r\n")
        assert parse(await read_all(stream)).status == 400
