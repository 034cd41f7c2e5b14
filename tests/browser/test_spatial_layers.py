"""Chromium sends several spatial layers in one stream (SVC), and plays each of them alone."""

import json
import time

import pytest
from attrs import frozen

from tests.browser.chromium import Chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person, Stats

pytestmark = pytest.mark.browser

# The router seems to offer only one video codec.  The camera is one encoding of this mode, at its full size.
_SENDER = """({ mimeType, mode }) => {
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    const message = parse(text, reviver);
    const router = message?.data?.routerRtpCapabilities;
    if (router) {
      const kept = router.codecs.filter((codec) => codec.kind === "audio" || codec.mimeType === mimeType);
      const types = kept.map(({ preferredPayloadType }) => preferredPayloadType);
      router.codecs = [...kept, ...router.codecs.filter(({ parameters }) => types.includes(parameters.apt))];
    }
    return message;
  };
  const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, init) {
    // mediasoup-client goes on with the same list.
    if (track.kind === "video") {
      init.sendEncodings?.splice(0, Infinity, { scalabilityMode: mode, maxBitrate: 1_500_000, maxFramerate: 10 });
    }
    const transceiver = addTransceiver.call(this, track, init);
    if (track.kind === "video") {
      // A machine that is busy must not make the picture smaller.
      const parameters = transceiver.sender.getParameters();
      transceiver.sender.setParameters({ ...parameters, degradationPreference: "maintain-resolution" });
    }
    return transceiver;
  };
}"""

# The receiver's page asks for the layers that the test wants.
_RECEIVER = """() => {
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    const message = parse(text, reviver);
    const { kind, consumerId } = message?.data ?? {};
    if (kind === "video" && consumerId) window.__consumerId = consumerId;
    return message;
  };
  const send = WebSocket.prototype.send;
  let id = 1_000_000;
  let wanted;
  WebSocket.prototype.send = function (text) {
    const message = parse(text);
    if (wanted && message.type === "set_layers") message.data = { ...message.data, ...wanted };
    if (message.type === "join") window.__socket = this; // the page has another one, which watches channels
    send.call(this, JSON.stringify(message));
  };
  window.__bound = (spatial) => {
    wanted = { spatial, temporal: 255 };
    const data = { consumerId: window.__consumerId, ...wanted };
    send.call(window.__socket, JSON.stringify({ id: id++, type: "set_layers", data }));
  };
}"""


@frozen
class Call:
    """Ada's camera has spatial layers, and Ben watches it."""

    ada: Person
    ben: Person

    def watched(self) -> Stats:
        return self.ben.inbound().get((self.ada.user_id, "camera"), {})

    def sees_height(self, least: int, most: int, within: float) -> int:
        """Wait until Ben decodes pictures of a height between these, in pixels.  Gives the height."""
        deadline = time.monotonic() + within
        while not least <= (height := int(self.watched().get("frameHeight", 0))) <= most:
            assert time.monotonic() < deadline, f"the picture has {height} lines, not {least} to {most}"
            self.ben.page.wait_for_timeout(200)
        return height

    def plays(self, frames: int = 8, within: float = 30) -> float:
        """Wait until Ben has decoded so many frames.  Gives the bytes that came for each frame."""
        deadline = time.monotonic() + within
        before = self.watched()
        while (after := self.watched())["framesDecoded"] - before["framesDecoded"] < frames:
            assert time.monotonic() < deadline, f"the picture stands still: {before} {after}"
            self.ben.page.wait_for_timeout(200)
        came = float(after["bytesReceived"] - before["bytesReceived"])
        return came / float(after["framesReceived"] - before["framesReceived"])

    def bound(self, spatial: int) -> None:
        self.ben.page.evaluate("(spatial) => window.__bound(spatial)", spatial)


def call_with(invite: Invite, chromium: Chromium, mime_type: str, mode: str) -> Call:
    sending, receiving = chromium.browser.new_context(), chromium.browser.new_context()
    sending.add_init_script(f"({_SENDER})({json.dumps({'mimeType': mime_type, 'mode': mode})})")
    receiving.add_init_script(f"({_RECEIVER})()")
    call = Call(invite("Ada", sending), invite("Ben", receiving))
    call.ada.joins(mode)
    call.ben.joins(mode)
    return call


@pytest.mark.parametrize(
    ("mime_type", "mode"),
    [("video/VP9", "L3T3_KEY"), ("video/AV1", "L3T3"), ("video/VP9", "L2T2")],
)
def test_a_receiver_gets_the_small_picture_and_then_the_large_one(
    invite: Invite, chromium: Chromium, mime_type: str, mode: str
) -> None:
    call = call_with(invite, chromium, mime_type, mode)
    call.sees_height(1, 2160, within=30)
    # The sender adds its upper layers when its rate allows it.
    deadline = time.monotonic() + 30
    while (whole := call.sees_height(1, 2160, within=5)) < 300 and time.monotonic() < deadline:
        call.ben.page.wait_for_timeout(500)
    large = call.plays()

    call.bound(0)
    height = call.sees_height(1, whole // 2, within=30)
    small = call.plays()
    assert small < large * 0.7, f"{small} instead of {large} bytes a frame, for {height} instead of {whole} lines"

    call.bound(255)
    call.sees_height(height + 1, 2160, within=30)
    call.plays()
