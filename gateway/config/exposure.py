"""Whether a configuration lets other machines in, and whether that is intended."""

from collections.abc import Iterator

from gateway.config.config import Config
from gateway.config.hosts import is_loopback, parse_host


def accidental_exposure(config: Config) -> str | None:
    """Return a sentence if other machines could join without a secret, and the operator has not asked for it.

    A name counts as elsewhere, unless it is a loopback name. Nobody looks it up, so the answer comes at once.
    """
    if config.open or config.join_token is not None or config.token_keys:
        return None
    reason = next(_reasons(config), None)
    if reason is None:
        return None
    return f"{reason}, and everybody there may join: set token-keys or join-token, or pass --open if everybody may"


def serves_others(config: Config) -> bool:
    """Whether other machines reach the gateway, on purpose or not."""
    return next(_reasons(config), None) is not None


def _reasons(config: Config) -> Iterator[str]:
    if not _is_here(config.host):
        yield f"host {config.host} lets other machines connect"
    if config.trusted_proxies:
        yield f"trusted-proxies lets clients of {config.trusted_proxies[0]} in"
    for host in config.allowed_hosts:
        if not _is_here(host):
            yield f"allowed-hosts serves other machines under {host}"


def _is_here(host: str) -> bool:
    try:
        return is_loopback(parse_host(host))
    except ValueError:
        return False
