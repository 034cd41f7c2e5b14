// A participant on unmodified mediasoup-client with libwebrtc in Node: `node main.js SETTINGS` (JSON, see
// docs/interop.md). libwebrtc makes its own packets, without our numbers, so only its statistics count what arrives.
import wrtc from "@roamhq/wrtc";
import { Device } from "mediasoup-client";
import WebSocket from "ws";

import { Signalling } from "../werift/signalling.js";

const PATIENCE = 20_000;
const MUTED = 8_000;
const WIDTH = 320;
const HEIGHT = 180;
const { RTCAudioSource, RTCVideoSource } = wrtc.nonstandard;

Object.assign(globalThis, wrtc); // mediasoup-client expects a browser's globals

const tell = (event, data = {}) => console.log(JSON.stringify({ event, ...data }));
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function within(milliseconds, promise, what) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error(what)), milliseconds).unref());
  return Promise.race([promise, late]);
}

// A tone, and a video that changes.
class Sources {
  constructor() {
    const audio = new RTCAudioSource();
    const video = new RTCVideoSource();
    this.tracks = { audio: audio.createTrack(), video: video.createTrack() };
    let count = 0;
    const samples = Int16Array.from({ length: 480 }, (_, index) => 8000 * Math.sin((index * 2 * Math.PI) / 48));
    const sound = { samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 };
    const data = new Uint8Array((WIDTH * HEIGHT * 3) / 2).fill(128);
    this.muted = false;
    this.#timers = [
      setInterval(() => this.muted || audio.onData(sound), 10),
      setInterval(() => {
        data.fill(count++ % 256, 0, WIDTH * HEIGHT);
        if (!this.muted) video.onFrame({ width: WIDTH, height: HEIGHT, data });
      }, 50),
    ];
  }

  #timers;

  stop() {
    this.#timers.forEach(clearInterval);
  }
}

class Participant {
  #open = 0;
  #closed = () => {};

  constructor(settings) {
    this.settings = settings;
    this.device = new Device({ handlerName: "Chrome111" });
  }

  async join() {
    this.signalling = await Signalling.open(WebSocket, this.settings.url, (type, data) => {
      if (type === "transport_state") tell("state", { state: `reported as ${data.state}` });
      if (type === "consumer_closed" && --this.#open === 0) this.#closed();
    });
    const { channel, user } = this.settings;
    this.joined = await this.signalling.ask("join", { channelId: channel, username: user });
    await this.device.load({ routerRtpCapabilities: this.joined.routerRtpCapabilities });
  }

  // mediasoup-client takes the opposite of the role in `dtlsParameters`.
  async #openTransport(direction, create) {
    const { rtpCapabilities } = this.device;
    const capabilities = direction === "receive" ? { rtpCapabilities } : {};
    const created = await this.signalling.ask("create_transport", { direction, ...capabilities });
    created.dtlsParameters.role = { client: "server", server: "client" }[this.settings.role];
    const transport = create({ ...created, id: created.transportId });
    transport.on("connect", ({ dtlsParameters }, done, failed) =>
      this.signalling.ask("connect_transport", { transportId: transport.id, dtlsParameters }).then(done, failed),
    );
    this.connected = new Promise((resolve) =>
      transport.on("connectionstatechange", (state) => {
        tell("state", { state });
        if (state === "connected") resolve();
      }),
    );
    return transport;
  }

  async #restartIce(transport) {
    await transport.restartIce(await this.signalling.ask("restart_ice", { transportId: transport.id }));
  }

  async send() {
    const transport = await this.#openTransport("send", (options) => this.device.createSendTransport(options));
    transport.on("produce", ({ kind, rtpParameters, appData }, done, failed) =>
      this.signalling
        .ask("produce", { transportId: transport.id, kind, rtpParameters, source: appData.source })
        .then(({ producerId }) => done({ id: producerId }), failed),
    );
    this.sources = new Sources();
    const { audio, video } = this.sources.tracks;
    await transport.produce({ track: audio, appData: { source: "microphone" } });
    await transport.produce({ track: video, appData: { source: "camera" } });
    await within(PATIENCE, this.connected, "ICE and DTLS did not connect");
    await sleep(this.settings.seconds * 500);
    if (this.settings.variation === "mute") {
      this.sources.muted = true;
      await sleep(MUTED);
      this.sources.muted = false;
    } else if (this.settings.variation === "restart_ice") {
      await this.#restartIce(transport);
    }
    await sleep(this.settings.seconds * 500);
    tell("done");
    return transport;
  }

  async receive() {
    const transport = await this.#openTransport("receive", (options) => this.device.createRecvTransport(options));
    const talkers = this.joined.participants.filter(({ username }) => username === "talker");
    const consumers = {};
    for (const { producerId } of talkers.flatMap(({ producers }) => producers)) {
      const { consumerId, kind, rtpParameters } = await this.signalling.ask("consume", {
        transportId: transport.id,
        producerId,
      });
      consumers[kind] = await transport.consume({ id: consumerId, producerId, kind, rtpParameters });
      this.#open += 1;
    }
    const closed = new Promise((resolve) => (this.#closed = resolve));
    await within(PATIENCE, this.connected, "ICE and DTLS did not connect");
    for (const { id } of Object.values(consumers)) await this.signalling.ask("resume", { consumerId: id });
    tell("receiving");
    await sleep(this.settings.seconds * 500);
    if (this.settings.variation === "restart_ice") await this.#restartIce(transport);
    await within(PATIENCE + this.settings.seconds * 1000, closed, "a consumer was never closed");
    const inbound = [...(await transport.getStats()).values()].filter(({ type }) => type === "inbound-rtp");
    const received = Object.fromEntries(
      inbound.map(({ kind, packetsReceived, packetsLost }) => [kind, { packets: packetsReceived, lost: packetsLost }]),
    );
    tell("done", { received });
    return transport;
  }

  async leave(transport) {
    const ended = new Promise((resolve) => process.stdin.resume().once("end", resolve));
    await within(PATIENCE, ended, "it was not asked to leave");
    await this.signalling.ask("leave");
    this.sources?.stop();
    transport.close();
    await this.signalling.close();
  }
}

const participant = new Participant(JSON.parse(process.argv[2]));
try {
  await participant.join();
  await participant.leave(await participant[participant.settings.direction]());
  process.exit(0);
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
