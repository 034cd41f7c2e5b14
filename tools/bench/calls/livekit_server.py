"""LiveKit as a contestant, with a page around its own client library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tools.bench import BenchError
from tools.bench.calls.server import CallServer, Contestant, file_page
from tools.bench.calls.wire import Namespace
from tools.servers import ServerProcess, accepts, running

#: Where ``tools/bench/install_livekit.sh`` puts the server and the client library.
INSTALLED: Final = Path(".stamps/livekit")
_PAGE: Final = Path(__file__).with_name("livekit.html")
_LIBRARY: Final = "node_modules/livekit-client/dist/livekit-client.umd.js"
_PORT: Final = 7880
_KEY: Final = "bench"
_TOKEN_SECONDS: Final = 600
#: It would wait longer for people who come back.
STOP_SECONDS: Final = 1.0

_CONFIGURATION: Final = """
port: {port}
bind_addresses: ["{host}"]
rtc:
  udp_port: 7882
  tcp_port: 7881
  use_external_ip: false
  node_ip: {host}
keys:
  {key}: {secret}
logging: {{level: warn}}
"""


class NoLiveKit(BenchError):
    """No LiveKit is installed."""


def token(secret: str, person: str, now: float) -> str:
    """A token that lets a person into the room: a JSON Web Token (RFC 7519) with HMAC-SHA256."""
    grant = {"room": "bench", "roomJoin": True}
    claims = {"iss": _KEY, "sub": person, "nbf": int(now) - 60, "exp": int(now) + _TOKEN_SECONDS, "video": grant}
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64(signature)}"


def _encoded(part: Mapping[str, Any]) -> str:
    return _base64(json.dumps(part).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@asynccontextmanager
async def open_livekit(namespace: Namespace) -> AsyncIterator[CallServer]:
    secret, address = secrets.token_hex(32), (namespace.ipv4, _PORT)
    with tempfile.TemporaryDirectory(prefix="bench-livekit-") as folder:
        file = Path(folder) / "livekit.yaml"
        file.write_text(_CONFIGURATION.format(port=_PORT, host=namespace.ipv4, key=_KEY, secret=secret))
        command = (*namespace.prefix, str((INSTALLED / "server").absolute()), "--config", str(file))
        async with running(ServerProcess, "LiveKit", command, lambda _: accepts(address), STOP_SECONDS) as server:
            host, port = address

            def page(role: str) -> str:
                options = {
                    "library": (INSTALLED / _LIBRARY).absolute().as_uri(),
                    "token": token(secret, role, time.time()),
                }
                return f'joinAs("{role}", "ws://{host}:{port}", {json.dumps(options)})'

            # A person who joins again under the same name replaces the first one.
            sender, receiver, third = (file_page(_PAGE, page(role)) for role in ("sender", "receiver", "third"))
            yield CallServer(f"http://{host}:{port}", sender, receiver, server.log, third)


def find() -> Contestant:
    """Raises :exc:`NoLiveKit`."""
    server, library = INSTALLED / "server", INSTALLED / _LIBRARY
    if not server.exists() or not library.exists():
        raise NoLiveKit("there is no LiveKit here. Where Go and npm are, `make bench-quality` builds it")
    shown = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return Contestant("livekit", "LiveKit", shown.stdout.strip().rpartition(" ")[2], open_livekit)
