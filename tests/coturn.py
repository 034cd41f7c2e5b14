"""A real TURN server, coturn, as docs/operating.md configures it."""

import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.gateway_process import ENVIRONMENT, poll_until


@contextmanager
def run_coturn(secret: str, host: str, relay_host: str, *options: str) -> Iterator[int]:
    """Run a coturn in this thread's network namespace. Yield its port, for UDP and TCP."""
    port = _free_port(host)
    places = [f"--listening-ip={host}", f"--relay-ip={relay_host}", f"--listening-port={port}", "--realm=test"]
    rest = ["--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout", "--pidfile=", *options]
    command = ["turnserver", "-n", "--use-auth-secret", f"--static-auth-secret={secret}", *places, *rest]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, env=ENVIRONMENT) as process:
        try:
            poll_until(lambda: _listens(host, port), bool, within=10)
            yield port
            assert process.poll() is None
        finally:
            process.kill()


def _free_port(host: str) -> int:
    """A port for UDP and TCP that no connection of another test takes while coturn starts, which takes seconds."""
    while True:
        port = random.randrange(20_000, 32_000)  # the system takes others for connections
        with (
            suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            udp.bind((host, port))
            tcp.bind((host, port))
            return port


def _listens(host: str, port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection((host, port), timeout=1):
        return True
    return False
