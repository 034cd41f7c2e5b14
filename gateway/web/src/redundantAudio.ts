/**
 * Sends audio as RED (RFC 2198) while the network loses packets: each packet repeats the one before it.
 *
 * Chromium sends RED if the answer to its offer lists it first. mediasoup-client answers with one codec, and it cannot
 * write RED's parameters. So this class changes the answers on their way to the browser. To switch, it negotiates
 * again with the last answer. That takes no message to the gateway, and the sound goes on without a gap.
 */
import type { Device, types } from "mediasoup-client";

import { sections } from "./sdp";

const RED = "audio/red";
/** Losses are looked at together for this long. */
const WINDOW_MS = 5_000;
/** The share of lost packets from which on RED is worth twice the bytes. */
const LEAST_SHARE = 0.01;
/** A single lost packet is no sign of more. */
const LEAST_LOST = 2;
/** The gateway may ask twice for a single packet. */
const LEAST_ASKED = 3;
/** How long RED stays on after the last sign of loss. */
const HOLD_MS = 25_000;

/**
 * All packets so far, those that the gateway reports as lost, and its requests for lost packets. The requests come up to
 * a second before the report.
 */
export interface Counted {
  readonly sent: number;
  readonly lost: number;
  readonly asked: number;
}

/** Judges from the counters of the sent audio whether it should be sent as RED. */
export class LossJudge {
  #samples: (Counted & { readonly at: number })[] = [];
  #until = -Infinity;

  /** Whether RED is worth its bytes at `now`. */
  judge(now: number, { sent, lost, asked }: Counted): boolean {
    const oldest = this.#samples[0];
    // Fewer packets than before: a stream has ended.
    if (oldest && (sent < oldest.sent || asked < oldest.asked)) this.#samples = [];
    this.#samples = this.#samples.filter(({ at }) => at > now - WINDOW_MS);
    this.#samples.push({ at: now, sent, lost, asked });
    const first = this.#samples[0] as Counted;
    const least = LEAST_SHARE * (sent - first.sent);
    if (lost - first.lost >= Math.max(LEAST_LOST, least)) this.#until = now + HOLD_MS;
    if (asked - first.asked >= Math.max(LEAST_ASKED, least)) this.#until = now + HOLD_MS;
    return now < this.#until;
  }
}

export class RedundantAudio {
  readonly #transport: types.Transport;
  readonly #codec: types.RtpCodecCapability | undefined;
  readonly #peer: RTCPeerConnection | undefined;
  readonly #judge = new LossJudge();
  #answer: RTCSessionDescriptionInit | undefined;
  #isOn = false;

  /** Does nothing unless the gateway takes RED and the browser is Chromium. */
  constructor(transport: types.Transport, device: Device) {
    this.#transport = transport;
    if (transport.handler.name !== "Chrome111") return;
    this.#codec = device.sendRtpCapabilities.codecs?.find(({ mimeType }) => mimeType.toLowerCase() === RED);
    // mediasoup-client hides the connection. Without it everything works as before, without RED.
    this.#peer = this.#codec && (transport.handler as unknown as { _pc?: RTCPeerConnection })._pc;
    if (this.#peer) this.#changeAnswers(this.#peer);
  }

  /** The parameters of a producer for the gateway: its packets may be RED at any time. */
  announced(kind: types.MediaKind, parameters: types.RtpParameters): types.RtpParameters {
    if (kind !== "audio" || !this.#codec || !this.#peer) return parameters;
    const { mimeType, preferredPayloadType: payloadType, clockRate } = this.#codec;
    return { ...parameters, codecs: [...parameters.codecs, { mimeType, payloadType, clockRate, channels: 2 }] };
  }

  /** Switch RED on or off, as the gateway's reports say. Nobody else may negotiate meanwhile. */
  async review(producers: Iterable<types.Producer>): Promise<void> {
    if (!this.#peer || this.#transport.connectionState !== "connected") return;
    const wanted = this.#judge.judge(performance.now(), await counted(producers));
    if (wanted === this.#isOn || !this.#answer || this.#peer.signalingState !== "stable") return;
    this.#isOn = wanted;
    try {
      await this.#peer.setLocalDescription(await this.#peer.createOffer());
      await this.#peer.setRemoteDescription(this.#answer);
    } catch (error) {
      this.#isOn = !wanted;
      throw error;
    }
  }

  #changeAnswers(peer: RTCPeerConnection): void {
    const setRemoteDescription = peer.setRemoteDescription.bind(peer);
    peer.setRemoteDescription = (answer: RTCSessionDescriptionInit): Promise<void> => {
      this.#answer = answer;
      const offer = peer.localDescription?.sdp;
      if (!this.#isOn || !answer.sdp || !offer) return setRemoteDescription(answer);
      return setRemoteDescription({ ...answer, sdp: withRedFirst(answer.sdp, offer) });
    };
  }
}

/** An answer that asks for RED in front of each Opus that the answer has, under the payload type of the offer. */
export function withRedFirst(answer: string, offer: string): string {
  const offered = sections(offer);
  return sections(answer)
    .map((section, index) => redFirst(section, offered[index] ?? ""))
    .join("");
}

function redFirst(section: string, offered: string): string {
  const opus = /^a=rtpmap:(\d+) opus\/48000\/2/m.exec(section)?.[1];
  const red = /^a=rtpmap:(\d+) red\/48000\/2/m.exec(offered)?.[1];
  if (!section.startsWith("m=audio ") || opus === undefined || red === undefined) return section;
  return section
    .replace(/^(m=audio \S+ \S+) /, `$1 ${red} `)
    .replace(/^a=rtpmap:/m, `a=rtpmap:${red} red/48000/2\r\na=fmtp:${red} ${opus}/${opus}\r\na=rtpmap:`);
}

/** The counters of all sent audio together. */
async function counted(producers: Iterable<types.Producer>): Promise<Counted> {
  let [sent, lost, asked] = [0, 0, 0];
  for (const producer of producers) {
    if (producer.kind !== "audio" || producer.closed) continue;
    for (const entry of (await producer.getStats()).values() as Iterable<Record<string, unknown>>) {
      if (entry["type"] === "outbound-rtp") {
        sent += Number(entry["packetsSent"] ?? 0);
        asked += Number(entry["nackCount"] ?? 0);
      }
      if (entry["type"] === "remote-inbound-rtp") lost += Number(entry["packetsLost"] ?? 0);
    }
  }
  return { sent, lost, asked };
}
