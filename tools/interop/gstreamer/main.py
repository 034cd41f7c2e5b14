"""A participant on GStreamer's webrtcbin with libnice: ``main.py SETTINGS`` (JSON), ``main.py --version``.

It runs in the system's Python, because that has GStreamer's bindings.  Otherwise it needs only the standard library.
"""

import json
import queue
import random
import select
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC  # noqa: E402
from media import PacketTally, Stream  # noqa: E402
from sdp import attribute, describe  # noqa: E402
from signalling import Refused, Signalling  # noqa: E402

Json = dict[str, Any]
PATIENCE = 20.0
INTERVAL = 0.02
MUTED = 8.0
EARLY = 20
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
MID_ID = 1
LOOPBACK = "127.0.0.1"
OPUS = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}
FEEDBACK = [{"type": "nack", "parameter": "pli"}, {"type": "ccm", "parameter": "fir"}]
VIDEO = {
    "video/VP8": {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000, "rtcpFeedback": FEEDBACK},
    "video/H264": {
        "mimeType": "video/H264",
        "payloadType": 105,
        "clockRate": 90000,
        "rtcpFeedback": FEEDBACK,
        "parameters": {"packetization-mode": 1, "level-asymmetry-allowed": 1, "profile-level-id": "42e01f"},
    },
}


def tell(event: str, **data: Any) -> None:
    print(json.dumps({"event": event, **data}), flush=True)


class Participant:
    """A participant in a channel, with a GStreamer pipeline around webrtcbin."""

    def __init__(self, settings: Json) -> None:
        self.settings = settings
        self.closed = queue.Queue()
        self.connected = threading.Event()
        self.signalling = Signalling(settings["url"], self._on_event)
        self.joined = self.signalling.ask("join", channelId=settings["channel"], username=settings["user"])
        self.pipeline = Gst.Pipeline.new()
        self.webrtc = Gst.ElementFactory.make("webrtcbin")
        self.webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.webrtc.connect("notify::connection-state", self._on_state)
        # Keep the reference. It is a floating one, which the bindings would take for theirs and drop.
        self.ice = self.webrtc.get_property("ice-agent")
        self.ice.emit("add-local-ip-address", LOOPBACK)
        self.pipeline.add(self.webrtc)

    def _on_event(self, kind: str, data: Any) -> None:
        if kind == "transport_state":
            tell("state", state=f"reported as {data['state']}")
        elif kind in ("consumer_closed", "closed"):
            self.closed.put(kind)

    def _on_state(self, webrtc: Any, _: object) -> None:
        state = webrtc.get_property("connection-state").value_nick
        tell("state", state=state)
        if state == "connected":
            self.connected.set()

    def until_connected(self) -> None:
        if not self.connected.wait(PATIENCE):
            raise Refused("ICE and DTLS did not connect")

    def promise(self, action: str, *arguments: Any) -> Any:
        """Let webrtcbin do something, wait for the end, and return the reply.  The reply owns its contents."""
        promise = Gst.Promise.new()
        self.webrtc.emit(action, *arguments, promise)
        promise.wait()
        return promise.get_reply()

    def create(self, what: str) -> str:
        """Create a local description (``offer`` or ``answer``), set it, and return its text."""
        reply = self.promise(f"create-{what}", None)
        description = reply.get_value(what)
        self.promise("set-local-description", description)
        return description.sdp.as_text()

    def take(self, what: str, text: str) -> None:
        _, message = GstSdp.SDPMessage.new_from_text(text)
        kind = GstWebRTC.WebRTCSDPType.OFFER if what == "offer" else GstWebRTC.WebRTCSDPType.ANSWER
        self.promise("set-remote-description", GstWebRTC.WebRTCSessionDescription.new(kind, message))

    def connect(self, transport: Json, description: str) -> None:
        algorithm, value = attribute(description, "fingerprint").split()
        parameters = {
            "role": self.settings["role"],
            "fingerprints": [{"algorithm": algorithm, "value": value.upper()}],
        }
        ice = {"usernameFragment": attribute(description, "ice-ufrag"), "password": attribute(description, "ice-pwd")}
        self.signalling.ask(
            "connect_transport", transportId=transport["transportId"], dtlsParameters=parameters, iceParameters=ice
        )

    @property
    def gateways_setup(self) -> str:
        return {"client": "passive", "server": "active"}[self.settings["role"]]

    def leave(self) -> None:
        select.select([sys.stdin], [], [], PATIENCE)  # the end of the input asks us to leave
        self.signalling.ask("leave")
        self.pipeline.set_state(Gst.State.NULL)
        self.signalling.close()


class Sender(Participant):
    """Sends audio and video, packet by packet."""

    def run(self) -> None:
        codecs = [OPUS, VIDEO[self.settings["video"]]]
        first = self.settings["first"] or {}
        self.streams = [
            Stream(
                codec["mimeType"],
                codec["payloadType"],
                random.getrandbits(30) + 1,
                MID_ID,
                self.settings["variation"],
                first.get(kind),
            )
            for codec, kind in zip(codecs, ("audio", "video"), strict=True)
        ]
        self.sinks: list[Any] = []
        self.sources = [self._source(codec, stream) for codec, stream in zip(codecs, self.streams, strict=True)]
        self.pipeline.set_state(Gst.State.PLAYING)
        transport = self.signalling.ask("create_transport", direction="send")
        self._until_caps()
        offer = self.create("offer")
        mids = [line[6:] for line in offer.splitlines() if line.startswith("a=mid:")]
        parameters = []
        for codec, stream, mid in zip(codecs, self.streams, mids, strict=True):
            stream.mid = mid
            parameters.append(
                {
                    "mid": mid,
                    "codecs": [codec],
                    "headerExtensions": [{"uri": MID_URI, "id": MID_ID}],
                    "encodings": [{"ssrc": stream.ssrc}],
                    "rtcp": {"cname": "gstreamer"},
                }
            )
        self.connect(transport, offer)
        self.take("answer", describe(transport, parameters, "recvonly", self.gateways_setup))
        self.until_connected()
        if self.settings["variation"] == "wrap":
            self.send_for(EARLY * INTERVAL)
        self._produce(transport, parameters)
        self._send_with_variation(transport, parameters)
        audio, video = self.streams
        tell("done", sent={"audio": audio.number, "video": video.number}, asked=video.asked)
        self.leave()

    def _until_caps(self) -> None:
        """Wait until every pad has caps, because the offer leaves out a pad without them."""
        deadline = time.monotonic() + PATIENCE
        while any(sink.get_current_caps() is None for sink in self.sinks):
            if time.monotonic() > deadline:
                raise Refused("the pipeline did not start")
            time.sleep(0.01)

    def _source(self, codec: Json, stream: Stream) -> Any:
        kind, _, name = codec["mimeType"].partition("/")
        caps = Gst.Caps.from_string(
            f"application/x-rtp,media={kind},encoding-name={name.upper()},clock-rate={codec['clockRate']},"
            f"payload={codec['payloadType']},ssrc=(uint){stream.ssrc},extmap-{MID_ID}={MID_URI}"
            + (",encoding-params=(string)2" if kind == "audio" else ",rtcp-fb-nack-pli=true,rtcp-fb-ccm-fir=true")
            + (",packetization-mode=(string)1,profile-level-id=(string)42e01f" if name == "H264" else "")
        )
        source = Gst.ElementFactory.make("appsrc")
        for name, value in (("caps", caps), ("format", Gst.Format.TIME), ("is-live", True)):
            source.set_property(name, value)
        self.pipeline.add(source)
        pad = source.get_static_pad("src")
        sink = self.webrtc.request_pad_simple("sink_%u")
        pad.link(sink)
        self.sinks.append(sink)
        pad.add_probe(Gst.PadProbeType.EVENT_UPSTREAM, self._on_upstream, stream)
        return source

    @staticmethod
    def _on_upstream(_pad: Any, info: Any, stream: Stream) -> Any:
        structure = info.get_event().get_structure()
        if structure is not None and structure.get_name() == "GstForceKeyUnit":
            stream.asked += 1
            stream.key_wanted = True
        return Gst.PadProbeReturn.OK

    def _produce(self, transport: Json, parameters: list[Json]) -> None:
        sources = (("audio", "microphone"), ("video", "camera"))
        self.producers = [
            self.signalling.ask(
                "produce", transportId=transport["transportId"], kind=kind, source=source, rtpParameters=one
            )["producerId"]
            for (kind, source), one in zip(sources, parameters, strict=True)
        ]

    def _send_with_variation(self, transport: Json, parameters: list[Json]) -> None:
        half = self.settings["seconds"] / 2
        self.send_for(half)
        video = self.streams[1]
        if self.settings["variation"] == "mute":
            time.sleep(MUTED)
            video.timestamp += round(MUTED * 90000)  # as in many clients, the audio's clock stands still
        elif self.settings["variation"] == "again":
            for producer in self.producers:
                self.signalling.ask("close", producerId=producer)
            self.send_for(EARLY * INTERVAL)
            self._produce(transport, parameters)
        elif self.settings["variation"] == "new_ssrc":
            video.ssrc, video.sequence, video.key_wanted = video.ssrc + 1, video.ssrc >> 16, True
        self.send_for(half)

    def send_for(self, seconds: float) -> None:
        due = time.monotonic()
        for tick in range(round(seconds / INTERVAL)):
            self._push(0, 960)
            if tick % 2 == 0:
                self._push(1, 3600)
            due += INTERVAL
            time.sleep(max(0.0, due - time.monotonic()))

    def _push(self, index: int, step: int) -> None:
        now = self.pipeline.get_pipeline_clock().get_time() - self.pipeline.get_base_time()
        for packet in self.streams[index].packets(step):
            buffer = Gst.Buffer.new_wrapped(packet)
            buffer.pts = buffer.dts = now
            self.sources[index].emit("push-buffer", buffer)


class Receiver(Participant):
    """Counts the packets of the participant "talker", until the gateway closes the consumers."""

    def run(self) -> None:
        self.tallies = {"audio": PacketTally(), "video": PacketTally()}
        self.pads = {}
        self.webrtc.connect("pad-added", self._on_pad)
        self.pipeline.set_state(Gst.State.PLAYING)
        transport = self.signalling.ask("create_transport", direction="receive", rtpCapabilities=self._capabilities())
        streams = [
            self.signalling.ask("consume", transportId=transport["transportId"], producerId=producer["producerId"])
            for participant in self.joined["participants"]
            if participant["username"] == "talker"
            for producer in participant["producers"]
        ]
        self.mime_types = {stream["kind"]: stream["rtpParameters"]["codecs"][0]["mimeType"] for stream in streams}
        parameters = [stream["rtpParameters"] for stream in streams]
        # Its answers always choose to be active. To make it the server, the offer has to leave no choice.
        setup = "actpass" if self.settings["role"] == "client" else "active"
        self.take("offer", describe(transport, parameters, "sendonly", setup))
        answer = self.create("answer")
        self.connect(transport, answer)
        self.until_connected()
        for stream in streams:
            self.signalling.ask("resume", consumerId=stream["consumerId"])
        tell("receiving")
        time.sleep(self.settings["seconds"] / 2)
        request = Gst.Structure.new_from_string("GstForceKeyUnit, all-headers=(boolean)true")
        self.pads["video"].send_event(Gst.Event.new_custom(Gst.EventType.CUSTOM_UPSTREAM, request))
        for _ in streams:
            if self.closed.get(timeout=PATIENCE + self.settings["seconds"]) == "closed":
                raise Refused("the WebSocket ended")
        time.sleep(1)  # until its jitter buffer is empty
        tell("done", received={kind: tally.as_json() for kind, tally in self.tallies.items()})
        self.leave()

    def _capabilities(self) -> Json:
        wanted = ("audio/opus", self.settings["video"].lower())
        router = self.joined["routerRtpCapabilities"]
        return {
            "codecs": [codec for codec in router["codecs"] if codec["mimeType"].lower() in wanted],
            "headerExtensions": [one for one in router["headerExtensions"] if one["uri"] == MID_URI],
        }

    def _on_pad(self, _webrtc: object, pad: Any) -> None:
        kind = pad.get_current_caps().get_structure(0).get_string("media")
        self.pads[kind] = pad
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("async", False)
        self.pipeline.add(sink)
        pad.add_probe(Gst.PadProbeType.BUFFER, self._on_buffer, kind)
        pad.link(sink.get_static_pad("sink"))
        sink.sync_state_with_parent()

    def _on_buffer(self, _pad: Any, info: Any, kind: str) -> Any:
        buffer = info.get_buffer()
        self.tallies[kind].take(self.mime_types[kind], buffer.extract_dup(0, buffer.get_size()))
        return Gst.PadProbeReturn.OK


def main() -> int:
    Gst.init(None)
    if sys.argv[1:] == ["--version"]:
        if None in (Gst.ElementFactory.find("webrtcbin"), Gst.ElementFactory.find("nicesink")):
            print("error: there is no webrtcbin or no libnice", file=sys.stderr)
            return 1
        print(".".join(map(str, Gst.version()[:3])))
        return 0
    settings = json.loads(sys.argv[1])
    kind = Sender if settings["direction"] == "send" else Receiver
    try:
        kind(settings).run()
    except (Refused, queue.Empty, KeyError) as error:
        print(f"error: {error or 'a consumer was never closed'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
