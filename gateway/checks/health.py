"""Asks a running gateway on this machine for its health, as health checks of containers do."""

import http.client
import ssl
from ipaddress import ip_address

from attrs import frozen

from gateway.config import Config


@frozen
class Answer:
    """The answer in words, and whether it is good."""

    is_good: bool
    text: str


def ask(config: Config, path: str, seconds: float) -> Answer:
    """Ask for ``path`` on the port of the configuration. Waits for at most about ``seconds``."""
    host = _reachable(config.host)
    connection = _connection(config, host, seconds)
    try:
        # Health checks need no name: the gateway answers for every address.
        connection.request("GET", path, headers={"Host": "localhost"})
        response = connection.getresponse()
        text = response.read(1024).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return Answer(False, f"{host} port {config.port} does not answer: {error}")
    finally:
        connection.close()
    return Answer(response.status == http.client.OK, text or str(response.status))


def _connection(config: Config, host: str, seconds: float) -> http.client.HTTPConnection:
    if config.tls_cert is None:
        return http.client.HTTPConnection(host, config.port, timeout=seconds)
    # The certificate names the gateway as its clients know it, and not this address. Nothing secret goes over.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, config.port, timeout=seconds, context=context)


def _reachable(host: str) -> str:
    """The address at which this machine reaches a listener. A wildcard is no address to connect to."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "::1" if address.version == 6 else "127.0.0.1"
