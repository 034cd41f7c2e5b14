"""Senders may use one payload type with different codec parameters.  Chromium plays them all on one transport."""

import json
import time
from typing import Any

import pytest

from tests.browser.chromium import Chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person

pytestmark = pytest.mark.browser

# Changes the page's messages: the router seems to offer only H264, and streams get the parameters of another client.
_CHANGE_MESSAGES = """({ mode, video, audio }) => {
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    const message = parse(text, reviver);
    const router = message?.data?.routerRtpCapabilities;
    if (router) {
      router.codecs = router.codecs.filter(({ mimeType, parameters }) =>
        mimeType === "audio/opus" || (mimeType === "video/H264" && mode.includes(parameters["packetization-mode"])));
    }
    const received = message?.data?.rtpParameters;
    if (received) (window.__received ??= []).push(received.codecs[0]);
    return message;
  };
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    const message = parse(text);
    if (message.type === "produce") {
      Object.assign(message.data.rtpParameters.codecs[0].parameters, message.data.kind === "video" ? video : audio);
    }
    send.call(this, JSON.stringify(message));
  };
}"""


def sends(
    invite: Invite, chromium: Chromium, name: str, *, mode: list[int], video: dict[str, Any], audio: dict[str, Any]
) -> Person:
    """A person whose streams have this packetization mode and these parameters."""
    context = chromium.browser.new_context()
    context.add_init_script(f"({_CHANGE_MESSAGES})({json.dumps({'mode': mode, 'video': video, 'audio': audio})})")
    return invite(name, context)


def test_h264_of_two_levels_and_modes_and_mono_and_stereo_opus_play_side_by_side(
    invite: Invite, chromium: Chromium
) -> None:
    sets = {"sprop-parameter-sets": "Z0LgH42NQA==,aM48gA=="}
    high_level = {"profile-level-id": "42e034", **sets}
    ada = sends(invite, chromium, "Ada", mode=[1], video=high_level, audio={"sprop-stereo": 1})
    ben = sends(invite, chromium, "Ben", mode=[1], video={"profile-level-id": "42e01f"}, audio={})
    cleo = sends(invite, chromium, "Cleo", mode=[0], video={}, audio={})
    eve = sends(invite, chromium, "Eve", mode=[0, 1], video={}, audio={})
    for person in (ada, ben, cleo, eve):
        person.joins("levels")
    joined = time.monotonic()
    for sender in (ada, ben, cleo):
        eve.watches_and_hears(sender.user_id, by=joined + 20, seconds=2)

    received = eve.page.evaluate("window.__received")
    h264 = sorted(
        (codec["payloadType"], codec["parameters"]["profile-level-id"], codec["parameters"]["packetization-mode"])
        for codec in received
        if codec["mimeType"] == "video/H264"
    )
    assert h264 == [(105, "42e01f", 1), (105, "42e034", 1), (115, "42e01f", 0)]
    assert sorted("sprop-stereo" in codec["parameters"] for codec in received if codec["mimeType"] == "audio/opus") == [
        False,
        False,
        True,
    ]
