"""What one payload type means may differ from sender to sender: Chromium plays all of it on one transport."""

import json
import time
from typing import Any

import pytest

from tests.browser.chromium import Chromium
from tests.browser.conftest import Invite
from tests.browser.person import Person

pytestmark = pytest.mark.browser

# The page as it is, in front of a router of H264 alone, with parameters of its streams as another client has them.
_OTHERWISE = """({ mode, video, audio }) => {
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    const message = parse(text, reviver);
    const router = message?.data?.routerRtpCapabilities;
    if (router) {
      router.codecs = router.codecs.filter(({ mimeType, parameters }) =>
        mimeType === "audio/opus" || (mimeType === "video/H264" && mode.includes(parameters["packetization-mode"])));
    }
    const told = message?.data?.rtpParameters;
    if (told) (window.__told ??= []).push(told.codecs[0]);
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
    """Somebody whose streams are of this packetization mode and have these parameters."""
    context = chromium.browser.new_context()
    context.add_init_script(f"({_OTHERWISE})({json.dumps({'mode': mode, 'video': video, 'audio': audio})})")
    return invite(name, context)


def test_h264_of_two_levels_and_modes_and_opus_of_both_kinds_are_played_side_by_side(
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

    told = eve.page.evaluate("window.__told")
    h264 = sorted(
        (codec["payloadType"], codec["parameters"]["profile-level-id"], codec["parameters"]["packetization-mode"])
        for codec in told
        if codec["mimeType"] == "video/H264"
    )
    assert h264 == [(105, "42e01f", 1), (105, "42e034", 1), (115, "42e01f", 0)]
    assert sorted("sprop-stereo" in codec["parameters"] for codec in told if codec["mimeType"] == "audio/opus") == [
        False,
        False,
        True,
    ]
