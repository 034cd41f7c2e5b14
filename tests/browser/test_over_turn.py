"""Chromium on a network without a way to the gateway's media: the call goes over a TURN server, a real coturn.

There are three machines: that of the people, that of the TURN server, and that of the gateway. The one in the middle
has a link to each other one, and forwards nothing. Its TURN server relays, with the settings that docs/operating.md
advises. The page alone has another way to the gateway, as over an HTTP proxy, which understands no media.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import run_chromium
from tests.browser.person import Person
from tests.browser.relay import Relay
from tests.coturn import run_coturn
from tests.gateway_process import GatewayProcess, poll_until, run_gateway
from tools.chromium import PERMITTED, TOUCHED
from tools.namespaces import configure, enter, new_namespaces, path, why_not

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]

SECRET = "a long text that nobody guesses"
PEOPLE, TURN_FOR_PEOPLE = "10.77.1.2", "10.77.1.1"
GATEWAY, TURN_FOR_GATEWAY = "10.77.2.2", "10.77.2.1"
COTURN = (f"--allowed-peer-ip={GATEWAY}", "--denied-peer-ip=0.0.0.0-255.255.255.255")
_FORWARDS = Path("/proc/sys/net/ipv4/ip_forward")

_NOTE_CONNECTIONS = """{
  window.__connections = [];
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      window.__connections.push(this);
    }
  };
}"""
_PAIRS = """async () => {
  const found = [];
  for (const connection of window.__connections) {
    if (connection.connectionState === "closed") continue;
    const stats = await connection.getStats();
    const all = [...stats.values()];
    const selected = all.find(({ type }) => type === "transport")?.selectedCandidatePairId;
    for (const pair of all.filter(({ type }) => type === "candidate-pair")) {
      const local = stats.get(pair.localCandidateId);
      const { address, protocol } = stats.get(pair.remoteCandidateId);
      found.push({
        selected: pair.id === selected,
        answers: pair.responsesReceived,
        local: local.candidateType,
        relay: local.relayProtocol,
        remote: `${protocol} ${address}`,
      });
    }
  }
  return found;
}"""


@frozen
class Machines:
    """The network namespaces of three machines."""

    people: int
    turn: int
    gateway: int


@contextmanager
def three_machines() -> Iterator[Machines]:
    with new_namespaces(3) as namespaces:
        machines = Machines(*namespaces)
        enter(machines.turn)
        _connect("to-people", TURN_FOR_PEOPLE, machines.people)
        _connect("to-gateway", TURN_FOR_GATEWAY, machines.gateway)
        if _FORWARDS.read_text().strip() != "0":  # a new namespace may have the setting of its machine
            _FORWARDS.write_text("0")
        for machine, address in ((machines.people, PEOPLE), (machines.turn, None), (machines.gateway, GATEWAY)):
            enter(machine)
            configure("ip", "link", "set", "lo", "up")
            if address is not None:
                _give("uplink", address)
        enter(machines.people)
        configure("ip", "route", "add", "default", "via", TURN_FOR_PEOPLE)
        yield machines


def _connect(link: str, address: str, other: int) -> None:
    configure("ip", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", path(other))
    _give(link, address)


def _give(link: str, address: str) -> None:
    configure("ip", "address", "add", f"{address}/24", "dev", link)
    configure("ip", "link", "set", link, "up")


@contextmanager
def way_for_the_page(machines: Machines, port: int) -> Iterator[Relay]:
    """A way from the people's loopback to that of the gateway, as over an HTTP proxy."""
    enter(machines.people)
    relay = Relay(port)
    enter(machines.gateway)  # the thread stays on this machine, and connects from there
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(5)
        relay.reset()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_call_without_a_way_to_the_media_ports_goes_over_turn(tmp_path: Path, protocol: str) -> None:
    with three_machines() as machines:
        enter(machines.turn)
        with run_coturn(SECRET, TURN_FOR_PEOPLE, TURN_FOR_GATEWAY, *COTURN) as turn_port:
            enter(machines.gateway)
            servers = [{"urls": [f"turn:{TURN_FOR_PEOPLE}:{turn_port}?transport={protocol}"]}]
            turn = ("--ice-servers", json.dumps(servers), "--turn-secret", SECRET)
            listen = ("--host", "0.0.0.0", "--open", "--media-host", GATEWAY)
            with (
                run_gateway(tmp_path / "log", *listen, *turn) as gateway,
                way_for_the_page(machines, gateway.port) as way,
            ):
                media_is_blocked(machines, gateway)
                enter(machines.people)
                with (
                    sync_playwright() as playwright,
                    run_chromium(playwright, tmp_path / "profile", PERMITTED, TOUCHED) as chromium,
                ):
                    call_over_turn(chromium.browser, way.url, protocol)
                enter(machines.gateway)
                gateway.becomes_empty()


def media_is_blocked(machines: Machines, gateway: GatewayProcess) -> None:
    """Check that neither TCP nor UDP of the people reaches the gateway, and that UDP of the TURN server does."""
    enter(machines.people)
    with pytest.raises(OSError, match=r"timed out|unreachable|refused"):
        socket.create_connection((GATEWAY, gateway.port), timeout=1).close()
    send_datagram(gateway)
    time.sleep(0.3)
    enter(machines.gateway)
    assert arrived(gateway) == 0
    enter(machines.turn)
    send_datagram(gateway)
    enter(machines.gateway)
    assert poll_until(lambda: arrived(gateway), bool, within=3) == 1


def send_datagram(gateway: GatewayProcess) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"?", (GATEWAY, gateway.media_port))


def arrived(gateway: GatewayProcess) -> float:
    return gateway.metrics()['sfu_packets_total{direction="in"}']


def call_over_turn(browser: Browser, url: str, protocol: str) -> None:
    """Let two people call each other, and check that all media of both goes over the TURN server."""
    people = []
    for name in ("Ada", "Ben"):
        context = browser.new_context()
        context.add_init_script(_NOTE_CONNECTIONS)
        people.append(Person.new_in(context, url, name))
    ada, ben = people
    ada.joins("turn")
    ben.joins("turn")
    joined = time.monotonic()
    ben.watches_and_hears(ada.user_id, by=joined + 15, seconds=3)
    ada.watches_and_hears(ben.user_id, by=joined + 20, seconds=3)
    for person in people:
        goes_over_turn(person, protocol)
        person.closes_page()
        assert person.errors == []


def goes_over_turn(person: Person, protocol: str) -> None:
    """Check that a person's two transports use the TURN server, and that nothing else ever got an answer."""

    def look() -> list[dict[str, Any]]:
        pairs: list[dict[str, Any]] = person.page.evaluate(_PAIRS)
        return pairs

    pairs = poll_until(look, lambda pairs: sum(pair["selected"] for pair in pairs) == 2, within=5)
    for pair in pairs:
        if pair["selected"]:
            assert (pair["local"], pair["relay"], pair["remote"]) == ("relay", protocol, f"udp {GATEWAY}"), pairs
        assert pair["answers"] == 0 or pair["local"] == "relay", pairs
