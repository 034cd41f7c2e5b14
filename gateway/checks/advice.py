"""Settings that work, and are probably a mistake. Nothing is looked up, and no port is opened."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from stat import S_IRGRP, S_IROTH
from typing import Final

from gateway.checks.collected import CollectedSettings
from gateway.checks.findings import Finding, error, warning
from gateway.config import SETTINGS, Config, is_secret
from gateway.config.exposure import accidental_exposure, serves_others
from gateway.config.hosts import is_loopback, parse_host
from gateway.config.origins import parse_origin
from gateway.config.proxies import parse_network
from gateway.http.tls import CertificateError, load_certificate
from gateway.identity.keys import KeyFileError, load_keys

_SHORT_SECRET: Final = 16
_SCHEMES: Final = ("stun:", "stuns:", "turn:", "turns:")


def advise(settings: CollectedSettings) -> Iterator[Finding]:
    """Yield what would stop the start although each setting is right, then likely mistakes."""
    config = settings.config
    if (exposure := accidental_exposure(config)) is not None:
        yield error("open", exposure)
    try:
        load_keys(config.token_keys)
    except KeyFileError as unusable:
        yield error("token_keys", str(unusable))
    if config.tls_cert is not None and config.tls_key is not None:
        try:
            load_certificate(config.tls_cert, config.tls_key, datetime.now(UTC))
        except CertificateError as useless:
            yield error("tls_cert", str(useless))
    yield from _readable_secrets(settings)
    for look in _LOOKS:
        yield from look(config)


def _readable_secrets(settings: CollectedSettings) -> Iterator[Finding]:
    """Secrets that other users of the machine can read."""
    secrets = {setting.name for setting in SETTINGS if is_secret(setting)}
    for name in sorted(secrets & settings.sources.keys()):
        if settings.sources[name] == "cli":
            text = "the secret is on the command line, which everybody on this machine can read"
            yield warning(name, text, f"give it as SFU_{name.upper()}, or in the configuration file")
        elif settings.file is not None and settings.sources[name] == str(settings.file):
            yield from _readable(name, settings.file, S_IROTH)
    for key in settings.config.token_keys:
        yield from _readable("token_keys", Path(key), S_IRGRP | S_IROTH)
    if settings.config.tls_key is not None:
        yield from _readable("tls_key", settings.config.tls_key, S_IROTH)


def _readable(name: str, path: Path, others: int) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & others and not path.name.endswith(".pub"):
        yield warning(name, f"{path} has a secret, and others may read it", f"chmod 600 {path}")


def _identity(config: Config) -> Iterator[Finding]:
    for setting in SETTINGS:
        value = getattr(config, setting.name)
        if is_secret(setting) and value is not None and len(value) < _SHORT_SECRET:
            remedy = "take a random text, such as that of: openssl rand -base64 32"
            yield warning(setting.name, f"has fewer than {_SHORT_SECRET} characters, so others may guess it", remedy)
    if config.open and (config.join_token or config.token_keys):
        yield warning("open", "has no effect: a join needs a token", "leave open out, or the token")
    if config.kiosk and serves_others(config):
        text = "every page with join=1 in its address switches on a camera without a press, for everybody"
        yield warning("kiosk", text, "give a kiosk a gateway of its own")


def _proxies(config: Config) -> Iterator[Finding]:
    behind_proxy = serves_others(config) and is_loopback_host(config.host)
    if behind_proxy and not config.trusted_proxies:
        text = "the proxy on this machine is not named, so all clients count as one address"
        yield warning("trusted_proxies", text, 'trusted_proxies = ["127.0.0.1", "::1"]')
    for network in map(parse_network, config.trusted_proxies):
        if network.prefixlen == 0:
            text = f"{network} is everybody, and so each client may claim any address"
            yield warning("trusted_proxies", text, "name the addresses of your proxies only")
    if "*" in config.allowed_origins:
        yield warning("allowed_origins", "lets pages of all sites connect", "name the origins of your pages")
    for origin in config.allowed_origins:
        if origin.startswith("http://") and not is_loopback_host(parse_origin(origin).host):
            text = f"browsers give pages from {origin} neither camera nor microphone"
            yield warning("allowed_origins", text, "serve the page over https")


def _tls(config: Config) -> Iterator[Finding]:
    if config.tls_cert is None and not config.trusted_proxies and not is_loopback_host(config.host):
        text = "is not set, and browsers give pages over http neither camera nor microphone"
        yield warning("tls_cert", text, "set tls_cert and tls_key, or name the proxy with TLS in trusted_proxies")


def _metrics(config: Config) -> Iterator[Finding]:
    if config.metrics_port is None and serves_others(config):
        text = "metrics are on the public port, where they ask for no token"
        yield warning("metrics_port", text, "set metrics_port, or block /metrics in the proxy")
    if config.metrics_port is not None and not is_loopback_host(config.metrics_host):
        yield warning("metrics_host", "other machines can read the metrics", "let a firewall protect this port")
    if config.metrics_port and config.metrics_port == config.port and config.metrics_host == config.host:
        yield error("metrics_port", f"is the port of the page ({config.port})", "choose another one")


def _media(config: Config) -> Iterator[Finding]:
    if serves_others(config) and config.media_host is None and not config.media_announce:
        text = "is not set: the gateway chooses one address of this machine for media"
        yield warning("media_host", text, "name the address that clients reach, or set media_announce behind NAT")
    for name in ("media_host", "media_announce"):
        given = getattr(config, name) or ()
        if serves_others(config) and given and all(map(is_loopback_host, given)):
            yield warning(name, "has loopback alone, so media reaches nobody else", "name an address of the network")
    for host in config.media_announce:
        try:
            address = ip_address(host)
        except ValueError:
            continue
        if address.is_unspecified or address.is_multicast:
            yield error("media_announce", f"clients cannot send to {host}", "name the public address")
    if config.media_tcp_announce and not config.media_tcp:
        yield warning("media_tcp_announce", "has no effect with media_tcp = false")


def _relays(config: Config) -> Iterator[Finding]:
    has_turn = False
    for server in config.ice_servers:
        for url in server.urls:
            if not url.startswith(_SCHEMES):
                wanted = "stun:, stuns:, turn: or turns:"
                yield error("ice_servers", f"{url} does not begin with {wanted}, and browsers refuse it")
            if not url.startswith(("turn:", "turns:")):
                continue
            has_turn = True
            made = config.turn_secret is not None and server.credential is None
            if not made and (server.username is None or server.credential is None):
                remedy = "give username and credential, or set turn_secret"
                yield error("ice_servers", f"{url} has no credential, and browsers refuse it", remedy)
    if config.turn_secret is not None and not has_turn:
        yield warning("turn_secret", "has no effect: ice_servers has no TURN server")


def _limits(config: Config) -> Iterator[Finding]:
    for smaller, larger in _PAIRS:
        low, high = getattr(config, smaller), getattr(config, larger)
        if low is not None and low > high:
            yield warning(smaller, f"is {low:g}, more than {larger} ({high:g}) ever allows")
    for rate, burst in (("request_rate", "request_burst"), ("message_rate", "message_burst")):
        if getattr(config, burst) < getattr(config, rate):
            text = f"is smaller than {rate}, so a client that is quiet for a second cannot use its rate"
            yield warning(burst, text)


def _files(config: Config) -> Iterator[Finding]:
    if config.web_root is not None and not (config.web_root / "index.html").is_file():
        yield warning("web_root", f"{config.web_root} has no index.html, so there is no page", "build the page")


def is_loopback_host(host: str) -> bool:
    """Whether a host of a setting means this machine."""
    try:
        return is_loopback(parse_host(host))
    except ValueError:
        return False


_PAIRS: Final = (
    ("max_stranger_bytes", "max_message_bytes"),
    ("message_backlog_bytes", "outbox_bytes"),
    ("inbox_bytes", "unread_bytes"),
    ("max_members", "max_connections"),
    ("max_voices", "max_members"),
    ("work_share", "address_work_share"),
    ("work_burst", "address_work_burst"),
    ("courtesy_timeout", "exit_timeout"),
)
_LOOKS: Final[tuple[Callable[[Config], Iterator[Finding]], ...]] = (
    _identity,
    _proxies,
    _tls,
    _metrics,
    _media,
    _relays,
    _limits,
    _files,
)
