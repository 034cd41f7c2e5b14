"""Checks of single settings. Each raises ``ValueError`` with the name of the setting, and says what it must be."""

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from attrs import Attribute

from gateway.config.hosts import parse_host
from gateway.config.origins import parse_origin
from gateway.config.proxies import parse_network

Check = Callable[[Any, "Attribute[Any]", Any], None]


def between(lowest: float, highest: float = math.inf) -> Check:
    """A number must lie between these two, or be one of them."""

    def check(_: Any, attribute: "Attribute[Any]", value: float) -> None:
        if not lowest <= value <= highest:
            wanted = f"at least {lowest:.15g}" if highest == math.inf else f"from {lowest:.15g} to {highest:.15g}"
            raise ValueError(f"{attribute.name} must be {wanted}, not {value!r}")

    return check


def not_empty(_: Any, attribute: "Attribute[Any]", value: Any) -> None:
    """A text or a list must not be empty."""
    if value is not None and not value:
        raise ValueError(f"{attribute.name} must not be empty; leave it out instead")


def origins(_: Any, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    """Each must be an origin (RFC 6454), or ``*``."""
    for origin in value:
        if origin == "*":
            continue
        try:
            parse_origin(origin)
        except ValueError:
            wanted = "origins like https://call.example.org or https://call.example.org:8443"
            hint = "without a path or a pattern, and with xn--… for letters that are not ASCII"
            raise ValueError(f"{attribute.name} must hold {wanted}, {hint}, not {origin!r}") from None


def networks(_: Any, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    """Each must be an IP address or a network."""
    for text in value:
        try:
            parse_network(text)
        except ValueError:
            wanted = "addresses or networks like 10.0.0.7 or 10.0.0.0/8"
            raise ValueError(f"{attribute.name} must hold {wanted}, not {text!r}") from None


def hosts(_: Any, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    """Each must be a host name or an address."""
    for host in value:
        try:
            parse_host(host)
        except ValueError:
            hint = "without a scheme, a port or a pattern, and with xn--… for letters that are not ASCII"
            raise ValueError(f"{attribute.name} must hold names like call.example.org, {hint}, not {host!r}") from None


def webhook_urls(_: Any, attribute: "Attribute[Any]", value: tuple[str, ...]) -> None:
    """Each must be the URL of another program, and none may come twice."""
    for url in value:
        if not _is_http_url(url):
            raise ValueError(f"{attribute.name} must hold URLs like https://backend.example.org/presence, not {url!r}")
    if len(set(value)) < len(value):
        raise ValueError(f"{attribute.name} names one URL twice")


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(known) and not parts.fragment and url.isascii() and url.isprintable() and " " not in url
