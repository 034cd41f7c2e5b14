"""Hosts, origins, proxies, candidates and the first bytes of media streams: small parsers that decide who gets in."""

import ipaddress
from typing import Final

from gateway.config.hosts import AllowedHosts, is_loopback, parse_authority, parse_host
from gateway.config.origins import MAX_PORT, NULL, parse_origin
from gateway.config.proxies import TrustedProxies, parse_network
from sfu.hostnames import BadAddress, check_host, split_port
from sfu.streams import LARGEST_REQUEST, may_begin, missing_bytes
from sfu.wire.candidates import host_candidates, passive_tcp_candidates

_ALLOWED: Final = AllowedHosts.of(["call.example.org"])
_PROXIES: Final = TrustedProxies.of(["10.0.0.0/8", "::1"])


def check(data: bytes) -> None:
    text = data.decode("latin-1")
    _check_host(text)
    _check_origin(text)
    _check_proxies(text)
    _check_media_address(text)
    _check_first_bytes(data)


def _check_host(text: str) -> None:
    try:
        host = parse_authority(text)
    except ValueError:
        return
    assert parse_host(str(host)) == host
    assert parse_authority(f"[{host}]" if ":" in str(host) else str(host)) == host
    if _ALLOWED.allow(host) and isinstance(host, str):
        assert host == "call.example.org" or is_loopback(host)


def _check_origin(text: str) -> None:
    try:
        origin = parse_origin(text)
    except ValueError:
        return
    if origin == NULL:
        assert text == "null"
        return
    assert origin.port is None or origin.port <= MAX_PORT
    port = "" if origin.port is None else f":{origin.port}"
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    assert parse_origin(f"{origin.scheme}://{host}{port}") == origin
    if origin.scheme in ("http", "https"):
        assert origin.matches_host(f"{host}{port}")
        assert not origin.matches_host(f"x{host}{port}")


def _check_proxies(text: str) -> None:
    assert _PROXIES.client_of_untrusted("192.0.2.1:5", [text]) == "192.0.2.1:5"  # no proxy, so nothing counts
    client = _PROXIES.client_of_untrusted("10.0.0.1:5", text.split("|"))
    assert client == "10.0.0.1:5" or str(ipaddress.ip_address(client)) == client
    # Whatever the client wrote before, the entry of the trusted proxy counts.
    assert _PROXIES.client_of_untrusted("10.0.0.1:5", [text, "198.51.100.7"]) == "198.51.100.7"
    try:
        network = parse_network(text)
    except ValueError:
        return
    assert parse_network(str(network)) == network


def _check_media_address(text: str) -> None:
    try:
        host, port = split_port(text)
        check_host(host)
    except BadAddress:
        return
    assert port is None or 0 < port <= MAX_PORT
    try:
        udp = host_candidates([(host, port or 9), ("127.0.0.1", 9)])
    except ValueError:
        return
    tcp = passive_tcp_candidates([(host, port or 9)], udp)
    assert len({candidate.foundation for candidate in (*udp, *tcp)}) == 3
    assert min(one.priority for one in udp) > max(one.priority for one in tcp)
    assert all(0 < candidate.priority < 2**31 for candidate in (*udp, *tcp))


def _check_first_bytes(data: bytes) -> None:
    accepted = [may_begin(data[:size]) for size in range(min(len(data), 32))]
    # What was refused once is never accepted with more bytes.
    assert accepted == sorted(accepted, reverse=True)
    if may_begin(data):
        assert missing_bytes(data) + len(data) <= LARGEST_REQUEST + 2 or missing_bytes(data) < 0
    if data[:1].isalpha():
        assert not may_begin(data)
