"""Whether the STUN and TURN servers of the configuration answer, and relay with the credentials that clients get."""

import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final

import trio
from attrs import frozen

from gateway.checks import stun
from gateway.checks.findings import Finding, error, ok, unknown, warning
from gateway.checks.stun import Attribute, BadResponse, Credential, Method, Request, Response
from gateway.config import Config
from gateway.identity.turn import with_credentials
from protocol.vocabulary import IceServer
from sfu import BadAddress
from sfu.hostnames import split_port

_SECONDS: Final = 5.0
_RESEND: Final = (0.5, 1.0, 2.0, 4.0)
_MOST_URLS: Final = 16
_MOST_BYTES: Final = 4096
_UNAUTHENTICATED: Final = 401
_URL: Final = re.compile(r"(stuns?|turns?):([^?]+)(?:\?transport=(udp|tcp))?")
_PORTS: Final = {"stun": 3478, "turn": 3478, "stuns": 5349, "turns": 5349}

Ask = Callable[[Request], Awaitable[Response]]


@frozen
class ServerUrl:
    """The parts of the URL of a STUN or TURN server (RFC 7064, RFC 7065)."""

    relays: bool
    secure: bool
    host: str
    port: int
    tcp: bool

    @classmethod
    def parse(cls, url: str) -> "ServerUrl":
        """Raises ``ValueError``."""
        parts = _URL.fullmatch(url)
        if parts is None:
            raise ValueError("no URL of a STUN or TURN server, such as turn:turn.example.org:3478?transport=udp")
        scheme = parts[1]
        host, port = split_port(parts[2])
        secure = scheme.endswith("s")
        return cls(scheme.startswith("turn"), secure, host, port or _PORTS[scheme], secure or parts[3] == "tcp")


async def check_relays(config: Config) -> list[Finding]:
    """Try every server of ``ice_servers``."""
    expires = time.time() + config.turn_seconds
    servers = with_credentials(config.ice_servers, config.turn_secret, "doctor", expires)
    urls = [(url, server) for server in servers for url in server.urls]
    found: dict[int, Finding] = {}

    async def try_one(number: int, url: str, server: IceServer) -> None:
        found[number] = await check_server(url, server)

    async with trio.open_nursery() as nursery:
        for number, (url, server) in enumerate(urls[:_MOST_URLS]):
            nursery.start_soon(try_one, number, url, server)
    left_out = [unknown("ice_servers", f"{len(urls) - _MOST_URLS} more servers were not tried")]
    return [found[number] for number in sorted(found)] + left_out * (len(urls) > _MOST_URLS)


async def check_server(url: str, server: IceServer) -> Finding:
    """Try one server, for at most :data:`_SECONDS`."""
    try:
        parsed = ServerUrl.parse(url)
    except (ValueError, BadAddress) as bad:
        return error(url, str(bad))
    try:
        with trio.fail_after(_SECONDS):
            async with _open(parsed) as ask:
                return await (_try_turn(url, server, ask) if parsed.relays else _try_stun(url, ask))
    except trio.TooSlowError:
        how = "TCP" if parsed.tcp else "UDP"
        remedy = f"look at the server, and at firewalls for {how} port {parsed.port}"
        return error(url, f"does not answer within {_SECONDS:g} s", remedy)
    except BadResponse as bad:
        return error(url, f"answers with {bad}", "is it a STUN or TURN server?")
    except (OSError, trio.BrokenResourceError, UnicodeError) as failed:
        cause = failed.__cause__ if isinstance(failed, trio.BrokenResourceError) else failed
        return error(url, f"cannot be reached: {getattr(cause, 'strerror', None) or cause}", "look at name and port")


async def _try_stun(url: str, ask: Ask) -> Finding:
    response = await ask(Request.make(Method.BINDING))
    if response.error:
        return error(url, f"answers with the error {response.error} {response.reason}")
    return ok(url, f"answers, and sees {response.address(Attribute.XOR_MAPPED_ADDRESS)}")


async def _try_turn(url: str, server: IceServer, ask: Ask) -> Finding:
    if server.username is None or server.credential is None:
        remedy = "give username and credential, or set turn_secret"
        return error(url, "has no credential, and browsers refuse it", remedy)
    response = await ask(Request.make(Method.ALLOCATE))
    if not response.error:
        return warning(url, "relays for everybody, without a credential", "let it ask for one (coturn: lt-cred-mech)")
    realm, nonce = (response.attributes.get(kind) for kind in (Attribute.REALM, Attribute.NONCE))
    if response.error != _UNAUTHENTICATED or realm is None or nonce is None:
        return error(url, f"refuses to relay: {response.error} {response.reason}", "is it a TURN server?")
    credential = Credential(server.username, server.credential, realm, nonce)
    response = await ask(Request.make(Method.ALLOCATE, credential))
    if response.error:
        remedy = "compare turn_secret, or username and credential, with the server's, and look at both clocks"
        return error(url, f"refuses the credential: {response.error} {response.reason}", remedy)
    await ask(Request.make(Method.REFRESH, credential, lifetime=0))  # gives the relay back
    relayed = response.address(Attribute.XOR_RELAYED_ADDRESS)
    if relayed is not None and not ip_address(relayed).is_global:
        text = f"accepts the credential, and relays at {relayed}, which the internet does not reach"
        return warning(
            url, text, "set the public address (coturn: external-ip), unless all clients are on your network"
        )
    return ok(url, f"accepts the credential, and relays at {relayed}")


@asynccontextmanager
async def _open(url: ServerUrl) -> AsyncIterator[Ask]:
    """Open the way to a server. Raises ``OSError``."""
    if not url.tcp:
        async with _open_udp(url) as ask:
            yield ask
        return
    stream: trio.abc.Stream = await trio.open_tcp_stream(url.host, url.port)
    if url.secure:
        stream = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=url.host)

    async def ask_over_tcp(request: Request) -> Response:
        await stream.send_all(request.data)
        data = b""
        while missing := min(stun.missing_bytes(data), _MOST_BYTES - len(data)):
            received = await stream.receive_some(missing)
            if not received:
                raise BadResponse("the end of the connection")
            data += received
        return request.read_response_untrusted(data)

    try:
        yield ask_over_tcp
    finally:
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def _open_udp(url: ServerUrl) -> AsyncIterator[Ask]:
    [(family, _, _, _, address), *_] = await trio.socket.getaddrinfo(url.host, url.port, type=trio.socket.SOCK_DGRAM)
    with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as socket:
        await socket.connect(address)

        async def ask_over_udp(request: Request) -> Response:
            for seconds in _RESEND:
                await socket.send(request.data)
                with trio.move_on_after(seconds):
                    return request.read_response_untrusted(await socket.recv(_MOST_BYTES))
            raise trio.TooSlowError

        yield ask_over_udp
