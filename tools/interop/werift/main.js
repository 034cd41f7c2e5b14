// A participant on werift: `node main.js SETTINGS` (JSON, see docs/interop.md).
import {
  MediaStreamTrack,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  useSdesMid,
} from "werift";
import WebSocket from "ws";

import { Stream, Tally } from "./media.js";
import { attributes, describe } from "./sdp.js";
import { Signalling } from "./signalling.js";

const PATIENCE = 20_000;
const INTERVAL = 20;
const MUTED = 8_000;
const EARLY = 20;
const MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid";
const FEEDBACK = [
  { type: "nack" },
  { type: "nack", parameter: "pli" },
  { type: "ccm", parameter: "fir" },
];
const OPUS = { mimeType: "audio/opus", payloadType: 111, clockRate: 48000, channels: 2 };
const VIDEO = {
  "video/VP8": { mimeType: "video/VP8", payloadType: 96, clockRate: 90000, rtcpFeedback: FEEDBACK },
  "video/H264": {
    mimeType: "video/H264",
    payloadType: 105,
    clockRate: 90000,
    rtcpFeedback: FEEDBACK,
    parameters: { "packetization-mode": 1, "level-asymmetry-allowed": 1, "profile-level-id": "42e01f" },
  },
};

const tell = (event, data = {}) => console.log(JSON.stringify({ event, ...data }));
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The promise, or an error if it takes too long.
function within(milliseconds, promise, what) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(what)), milliseconds).unref());
  return Promise.race([promise, late]);
}

class Participant {
  #open = 0;
  #closed = () => {};

  constructor(settings) {
    this.settings = settings;
    const codec = ({ parameters = {}, ...rest }) =>
      new RTCRtpCodecParameters({
        ...rest,
        parameters: Object.entries(parameters).map(([key, value]) => `${key}=${value}`).join(";"),
      });
    this.pc = new RTCPeerConnection({
      codecs: { audio: [codec(OPUS)], video: [codec(VIDEO[settings.video])] },
      headerExtensions: { audio: [useSdesMid()], video: [useSdesMid()] },
      iceServers: [],
      iceAdditionalHostAddresses: ["127.0.0.1"],
      iceUseIpv6: false,
      iceUseTcp: false,
      bundlePolicy: "max-bundle",
    });
    this.connected = new Promise((resolve) =>
      this.pc.connectionStateChange.subscribe((state) => {
        tell("state", { state });
        if (state === "connected") resolve();
      }),
    );
  }

  async join() {
    this.signalling = await Signalling.open(WebSocket, this.settings.url, (type, data) => {
      if (type === "transport_state") tell("state", { state: `reported as ${data.state}` });
      if (type === "consumer_closed" && --this.#open === 0) this.#closed();
    });
    const { channel, user } = this.settings;
    this.joined = await this.signalling.ask("join", { channelId: channel, username: user });
  }

  untilConnected() {
    return within(PATIENCE, this.connected, "ICE and DTLS did not connect");
  }

  async connect({ transportId }, description) {
    const [algorithm, value] = attributes(description, "fingerprint")[0].split(" ");
    const dtlsParameters = { role: this.settings.role, fingerprints: [{ algorithm, value }] };
    const [usernameFragment] = attributes(description, "ice-ufrag");
    const [password] = attributes(description, "ice-pwd");
    const iceParameters = { usernameFragment, password };
    await this.signalling.ask("connect_transport", { transportId, dtlsParameters, iceParameters });
  }

  async restartIce(transport) {
    const { iceParameters } = await this.signalling.ask("restart_ice", { transportId: transport.transportId });
    transport.iceParameters = iceParameters;
  }

  async send() {
    const tracks = ["audio", "video"].map((kind) => new MediaStreamTrack({ kind }));
    if (this.settings.variation === "new_ssrc") tracks.push(new MediaStreamTrack({ kind: "video" }));
    this.transceivers = tracks.map((track) => this.pc.addTransceiver(track, { direction: "sendonly" }));
    const transport = await this.signalling.ask("create_transport", { direction: "send" });
    const codecs = [OPUS, VIDEO[this.settings.video], VIDEO[this.settings.video]];
    const parameters = await this.#offer(transport, codecs, false);
    const [{ id: midId }] = parameters[0].headerExtensions;
    this.streams = tracks.map((track, index) => new Stream(track, codecs[index], midId, this.settings));
    this.transceivers.forEach(({ sender }, index) =>
      sender.onPictureLossIndication.subscribe(() => {
        this.streams[index].keyWanted = true;
        this.streams[index].asked += 1;
      }),
    );
    await this.untilConnected();
    const [audio, video] = this.streams;
    if (this.settings.variation === "wrap") await this.#sendFor(EARLY * INTERVAL, audio, video);
    this.produce = async () => {
      const producers = [];
      for (const [index, kind] of ["audio", "video"].entries()) {
        const [source, rtpParameters] = [["microphone", "camera"][index], parameters[index]];
        const { transportId } = transport;
        producers.push(await this.signalling.ask("produce", { transportId, kind, source, rtpParameters }));
      }
      return producers;
    };
    this.producers = await this.produce();
    const last = await this.#sendWithVariation(transport, codecs);
    tell("done", { sent: { audio: audio.number, video: last.number }, asked: last.asked });
  }

  // Lets werift make an offer, tells the gateway its parameters, and gives werift an answer for the gateway.
  async #offer(transport, codecs, restart) {
    const offer = await this.pc.createOffer({ iceRestart: restart });
    await this.pc.setLocalDescription(offer);
    const { sdp } = this.pc.localDescription;
    const extension = attributes(sdp, "extmap").find((line) => line.endsWith(MID_URI));
    const headerExtensions = [{ uri: MID_URI, id: parseInt(extension, 10) }];
    const parameters = this.transceivers.map(({ mid, sender }, index) => ({
      mid,
      codecs: [codecs[index]],
      headerExtensions,
      encodings: [{ ssrc: sender.ssrc }],
      rtcp: { cname: "werift" },
    }));
    if (!restart) await this.connect(transport, sdp);
    const setup = { client: "passive", server: "active" }[this.settings.role];
    const answer = describe(transport, parameters, "recvonly", setup, restart ? 2 : 1);
    await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
    return parameters;
  }

  async #sendWithVariation(transport, codecs) {
    const [audio, video, other] = this.streams;
    const half = this.settings.seconds * 500;
    await this.#sendFor(half, audio, video);
    if (this.settings.variation === "mute") {
      await sleep(MUTED);
      video.timestamp = (video.timestamp + MUTED * 90) >>> 0; // the audio's clock stands still during the mute
    } else if (this.settings.variation === "restart_ice") {
      await this.restartIce(transport);
      // Media goes on during the restart.
      await Promise.all([this.#offer(transport, codecs, true), this.#sendFor(half, audio, video)]);
      return video;
    } else if (this.settings.variation === "again") {
      for (const { producerId } of this.producers) await this.signalling.ask("close", { producerId });
      await this.#sendFor(EARLY * INTERVAL, audio, video);
      await this.produce();
    } else if (this.settings.variation === "new_ssrc") {
      const { number, frames, timestamp, asked } = video;
      Object.assign(other, { number, frames, timestamp, asked, mid: this.transceivers[1].mid });
      await this.#sendFor(half, audio, other);
      return other;
    }
    await this.#sendFor(half, audio, video);
    return video;
  }

  async #sendFor(milliseconds, audio, video) {
    const begun = performance.now();
    for (let tick = 0; tick < Math.round(milliseconds / INTERVAL); tick++) {
      await sleep(Math.max(0, begun + tick * INTERVAL - performance.now()));
      audio.sendFrame(960);
      if (tick % 2 === 0) video.sendFrame(3600);
    }
  }

  async receive() {
    const { transportId, ...rest } = await this.signalling.ask("create_transport", {
      direction: "receive",
      rtpCapabilities: this.#capabilities(),
    });
    const transport = { transportId, ...rest };
    const producers = this.joined.participants.filter(({ username }) => username === "talker");
    const streams = [];
    for (const { producerId } of producers.flatMap((participant) => participant.producers))
      streams.push(await this.signalling.ask("consume", { transportId, producerId }));
    if (streams.length === 0) throw new Error("there is nothing to receive");
    this.#open = streams.length;
    const closed = new Promise((resolve) => (this.#closed = resolve));
    const received = { audio: new Tally(), video: new Tally() };
    this.pc.onTrack.subscribe((track) =>
      track.onReceiveRtp.subscribe((packet) =>
        received[track.kind].take(track.kind === "audio" ? OPUS.mimeType : this.settings.video, packet.payload),
      ),
    );
    await this.#answer(transport, streams, false);
    await this.untilConnected();
    for (const { consumerId } of streams) await this.signalling.ask("resume", { consumerId });
    tell("receiving");
    await sleep(this.settings.seconds * 500);
    const video = this.pc.getTransceivers().find(({ kind }) => kind === "video");
    const { rtpParameters } = streams.find(({ kind }) => kind === "video");
    await video.receiver.sendRtcpPLI(rtpParameters.encodings[0].ssrc);
    if (this.settings.variation === "restart_ice") {
      await this.restartIce(transport);
      await this.#answer(transport, streams, true);
    }
    await within(PATIENCE + this.settings.seconds * 1000, closed, "a consumer was never closed");
    tell("done", { received });
  }

  #capabilities() {
    const { codecs, headerExtensions } = this.joined.routerRtpCapabilities;
    const wanted = ["audio/opus", this.settings.video.toLowerCase()];
    return {
      codecs: codecs.filter(({ mimeType }) => wanted.includes(mimeType.toLowerCase())),
      headerExtensions: headerExtensions.filter(({ uri }) => uri === MID_URI),
    };
  }

  async #answer(transport, streams, restart) {
    const sections = streams.map(({ rtpParameters }) => rtpParameters);
    const offer = describe(transport, sections, "sendonly", "actpass", restart ? 2 : 1);
    await this.pc.setRemoteDescription({ type: "offer", sdp: offer });
    // werift would be the client, whatever the offer says.
    for (const dtls of this.pc.dtlsTransports) dtls.role = this.settings.role;
    const answer = await this.pc.createAnswer();
    if (!restart) await this.connect(transport, answer.sdp);
    await this.pc.setLocalDescription(answer);
  }

  async leave() {
    const ended = new Promise((resolve) => process.stdin.resume().once("end", resolve));
    await within(PATIENCE, ended, "it was not asked to leave");
    await this.signalling.ask("leave");
    await this.pc.close();
    await this.signalling.close();
  }
}

const participant = new Participant(JSON.parse(process.argv[2]));
try {
  await participant.join();
  await participant[participant.settings.direction]();
  await participant.leave();
  process.exit(0);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
