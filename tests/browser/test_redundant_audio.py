"""Chromium plays audio that the gateway repeats in later packets (RED, RFC 2198)."""

import time

import pytest

from tests.browser.conftest import Invite

pytestmark = pytest.mark.browser

_KEEP_CONNECTIONS = """
window.__connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) {
    super(...given);
    window.__connections.push(this);
  }
};
"""
_OFFERS = "window.__connections.map(each => each.remoteDescription).filter(each => each?.type === 'offer')"
_ANSWERS = "window.__connections.map(each => each.localDescription).filter(each => each?.type === 'answer')"


def test_chromium_takes_and_plays_redundant_audio(invite: Invite) -> None:
    """In its first 10 s, a stream is sent as RED to every receiver that takes it."""
    ada, ben = invite("Ada"), invite("Ben")
    ben.page.add_init_script(_KEEP_CONNECTIONS)
    ada.joins("red")
    ben.joins("red")
    ben.watches_and_hears(ada.user_id, by=time.monotonic() + 10)
    [answer] = ben.page.evaluate(f"{_ANSWERS}.map(each => each.sdp)")
    assert "a=rtpmap:63 red/48000/2\r\n" in answer
    assert "a=fmtp:63 100/100\r\n" in answer
    # The page lets Chromium ask for lost packets, which tells the gateway of losses before the next report does.
    [offer] = ben.page.evaluate(f"{_OFFERS}.map(each => each.sdp)")
    assert "a=rtcp-fb:100 nack\r\n" in offer
    consumed = ben.inbound()[ada.user_id, "microphone"]
    # NetEq counts the repetitions of packets that arrived as discarded.
    assert consumed["packetsDiscarded"] > 20
    assert consumed["concealedSamples"] < consumed["totalSamplesReceived"] / 2
