/**
 * Sends media: at most one producer for each source.
 *
 * `send()` and `stop()` only record the wanted tracks, so they return at once and never fail. A queue then changes the
 * producers one step at a time. However fast a camera is switched on and off, the last call wins. The tracks belong to
 * the caller and are never stopped here, because the preview and the next connection use them too.
 */
import type { Device, types } from "mediasoup-client";

import { encodedAs, withoutSimulcast } from "./encodings";
import { EncodingSwitch, keepEncodingsOff } from "./encodingSwitch";
import { MediaTransport, type MediaTransportHandlers, type TransportContext } from "./mediaTransport";
import type { ParticipantProducer, Source } from "./protocol";
import { RedundantAudio } from "./redundantAudio";
import { AnswerLost, ConnectionEnded, RequestError } from "./signalling";
import type { Measured } from "./stats";

interface Wanted {
  readonly track: MediaStreamTrack;
  readonly paused: boolean;
}

export interface OutboundHandlers extends Omit<MediaTransportHandlers, "lost"> {
  /** The gateway or the browser rejected the track. It will not be tried again. */
  failed(source: Source, error: unknown): void;
}

/** How often the losses of the sent audio are looked at. The gateway reports them once a second. */
const REVIEW_MS = 1_000;

export class Outbound {
  readonly #context: TransportContext;
  readonly #handlers: OutboundHandlers;
  readonly #wanted = new Map<Source, Wanted>();
  readonly #producers = new Map<Source, types.Producer>();
  readonly #encodings = new EncodingSwitch();
  readonly #transport: MediaTransport;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(context: TransportContext, handlers: OutboundHandlers) {
    this.#context = context;
    this.#handlers = handlers;
    const { flowing, troubled } = handlers;
    const own = { lost: () => this.#transportLost(), flowing, troubled };
    this.#transport = new MediaTransport("send", context, own, (transport, device) => this.#prepare(transport, device));
  }

  get transport(): MediaTransport {
    return this.#transport;
  }

  /** Send this track as `source`. It replaces the track that was sent as `source` before. */
  send(source: Source, track: MediaStreamTrack, paused = false): void {
    this.#wanted.set(source, { track, paused });
    this.#transport.expectOther();
    this.#follow(source);
  }

  /** Stop sending `source`. The queue closes the producer in its turn. The caller stops the track. */
  stop(source: Source): void {
    this.#wanted.delete(source);
    this.#transport.expectOther();
    this.#follow(source);
    // With nothing to send, a lost transport is no reason for a notice.
    if (this.#wanted.size === 0) this.#handlers.flowing(true);
  }

  /** The gateway needs these encodings of a producer, in rising quality. The queue switches the others off. */
  switchEncodings(producerId: string, active: readonly boolean[]): void {
    this.#encodings.wish(producerId, active);
    for (const [source, producer] of this.#producers) if (producer.id === producerId) this.#follow(source);
  }

  /** Send again what the gateway does not have, and close its producers that are unknown here. */
  reconcile(producers: readonly ParticipantProducer[]): void {
    const theirs = new Set(producers.map(({ producerId }) => producerId));
    for (const [source, producer] of this.#producers) {
      if (theirs.delete(producer.id)) continue;
      this.#producers.delete(source);
      producer.close();
      this.#follow(source);
    }
    for (const producerId of theirs) this.#context.signalling.request("close", { producerId }).catch(() => undefined);
  }

  /** Every sent stream with its labels, for the statistics. */
  get measured(): Measured<{ source: Source }>[] {
    return [...this.#producers].map(([source, producer]) => ({ labels: { source }, getStats: () => producer.getStats() }));
  }

  close(): void {
    this.#closed = true;
    this.#wanted.clear();
    this.#producers.clear();
    this.#transport.close();
  }

  #prepare(transport: types.Transport, device: Device): void {
    keepEncodingsOff(transport);
    const audio = new RedundantAudio(transport, device);
    const timer = setInterval(() => this.#review(audio), REVIEW_MS);
    transport.observer.on("close", () => clearInterval(timer));
    transport.on("produce", ({ kind, rtpParameters, appData }, done, failed) => {
      const { source, paused } = appData as { source: Source; paused: boolean };
      const announced = audio.announced(kind, rtpParameters);
      this.#context.signalling
        .request("produce", { transportId: transport.id, kind, rtpParameters: announced, source, paused })
        .then(({ producerId }) => done({ id: producerId }), failed);
    });
  }

  /** The queue keeps the review apart from all other negotiations. A review that fails is made up for by the next. */
  #review(audio: RedundantAudio): void {
    this.#queue = this.#queue.then(() => audio.review(this.#producers.values())).catch(() => undefined);
  }

  #follow(source: Source): void {
    this.#queue = this.#queue.then(() => this.#reconcile(source)).catch((error) => this.#failed(source, error));
  }

  async #reconcile(source: Source): Promise<void> {
    if (this.#closed) return;
    const wanted = this.#wanted.get(source);
    const producer = this.#producers.get(source);
    if (producer && producer.track !== wanted?.track) await this.#unproduce(source, producer);
    if (!wanted) return;
    const current = this.#producers.get(source);
    if (!current) await this.#produce(source, wanted);
    else if (current.paused !== wanted.paused) await this.#pause(current, wanted.paused);
    await this.#switchEncodings(source);
  }

  async #switchEncodings(source: Source): Promise<void> {
    this.#encodings.keepOnly(this.#producers.values());
    const producer = this.#producers.get(source);
    if (producer && (await this.#encodings.apply(producer))) this.#transport.expectOther();
  }

  async #produce(source: Source, { track, paused }: Wanted): Promise<void> {
    const transport = await this.#transport.get();
    // The caller may have stopped it while the transport was being opened.
    if (this.#wanted.get(source)?.track !== track) return;
    const options = { track, stopTracks: false, disableTrackOnPause: false, appData: { source, paused } };
    const encoded = encodedAs(source, track.getSettings());
    const producer = await transport
      .produce({ ...options, ...encoded })
      .catch((error: unknown) => {
        // A browser may refuse simulcast. What the gateway refuses, it would refuse again.
        if (transport.closed || (encoded.encodings?.length ?? 1) === 1 || isFromGateway(error)) throw error;
        return transport.produce({ ...options, ...withoutSimulcast(encoded) });
      })
      .catch((error: unknown) => {
        // After a lost transport `#transportLost` sends the track again. A track that has ended is not worth an error.
        if (transport.closed || track.readyState === "ended") return undefined;
        throw error;
      });
    if (!producer || transport.closed) return;
    if (paused) producer.pause();
    this.#producers.set(source, producer);
  }

  async #unproduce(source: Source, producer: types.Producer): Promise<void> {
    this.#producers.delete(source);
    producer.close();
    await this.#tell("close", producer.id);
  }

  async #pause(producer: types.Producer, paused: boolean): Promise<void> {
    if (paused) producer.pause();
    else producer.resume();
    await this.#tell(paused ? "pause" : "resume", producer.id);
  }

  /** Tell the gateway about a producer. `not_found` is no failure: the producer is closed already. */
  async #tell(type: "close" | "pause" | "resume", producerId: string): Promise<void> {
    await this.#context.signalling.request(type, { producerId }).catch((error: unknown) => {
      if (!(error instanceof RequestError && error.code === "not_found")) throw error;
    });
  }

  #transportLost(): void {
    this.#producers.clear();
    for (const source of this.#wanted.keys()) this.#follow(source);
  }

  #failed(source: Source, error: unknown): void {
    // The next connection sends everything again, so the end of this one is no failure.
    if (this.#closed || error instanceof ConnectionEnded || !this.#wanted.has(source)) return;
    // The producer that the gateway made is closed by now.
    if (error instanceof AnswerLost) return this.#follow(source);
    this.#wanted.delete(source);
    this.#handlers.failed(source, error);
  }
}

function isFromGateway(error: unknown): boolean {
  return error instanceof RequestError || error instanceof ConnectionEnded || error instanceof AnswerLost;
}
