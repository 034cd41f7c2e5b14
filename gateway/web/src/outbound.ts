/**
 * What one sends: at most one producer for each source, made to follow what is wanted.
 *
 * Wanting is immediate and never fails; one queue then makes the producers follow, so that switching a camera on and
 * off quickly ends as the last wish says. The tracks belong to the caller and are never stopped here: previews live
 * on them, and so does the next connection.
 */
import type { types } from "mediasoup-client";

import { MediaTransport, type Link } from "./mediaTransport";
import type { Source } from "./protocol";
import { ConnectionEnded, RequestError } from "./signalling";
import type { Measured } from "./stats";

interface Wanted {
  readonly track: MediaStreamTrack;
  readonly paused: boolean;
}

export interface OutboundHandlers {
  /** The gateway or the browser would not take it; it is not wanted any more. */
  failed(source: Source, error: unknown): void;
  flowing(flows: boolean): void;
}

/** How each source is encoded. One encoding each: layers come when the gateway can choose among them. */
const ENCODING: Readonly<Record<Source, Pick<types.ProducerOptions, "encodings" | "codecOptions">>> = {
  // FEC rides along where packets get lost, DTX keeps silence from costing a stream.
  microphone: { codecOptions: { opusFec: true, opusDtx: true, opusStereo: false } },
  camera: { encodings: [{ maxBitrate: 2_000_000 }] },
  screen: { encodings: [{ maxBitrate: 3_000_000 }] },
  screen_audio: { codecOptions: { opusFec: true, opusDtx: false, opusStereo: true } },
  other: {},
};

export class Outbound {
  readonly #link: Link;
  readonly #handlers: OutboundHandlers;
  readonly #wanted = new Map<Source, Wanted>();
  readonly #producers = new Map<Source, types.Producer>();
  readonly #transport: MediaTransport;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(link: Link, handlers: OutboundHandlers) {
    this.#link = link;
    this.#handlers = handlers;
    const lost = { lost: () => this.#transportLost(), flowing: handlers.flowing };
    this.#transport = new MediaTransport("send", link, lost, (transport) => this.#announce(transport));
  }

  get transport(): MediaTransport {
    return this.#transport;
  }

  /** Send this track as `source`, in place of what was sent as it before. */
  send(source: Source, track: MediaStreamTrack, paused = false): void {
    this.#wanted.set(source, { track, paused });
    this.#follow(source);
  }

  /** Stop sending as `source`. The producer goes when its turn comes; the caller stops the track, at once. */
  stop(source: Source): void {
    this.#wanted.delete(source);
    this.#follow(source);
    // A transport that was lost and is not needed any more is not missed.
    if (this.#wanted.size === 0) this.#handlers.flowing(true);
  }

  /** What is sent, for statistics. */
  get measured(): Measured<{ source: Source }>[] {
    return [...this.#producers].map(([source, producer]) => ({ what: { source }, getStats: () => producer.getStats() }));
  }

  close(): void {
    this.#closed = true;
    this.#wanted.clear();
    this.#producers.clear();
    this.#transport.close();
  }

  #announce(transport: types.Transport): void {
    transport.on("produce", ({ kind, rtpParameters, appData }, done, failed) => {
      const { source, paused } = appData as { source: Source; paused: boolean };
      this.#link.signalling
        .request("produce", { transportId: transport.id, kind, rtpParameters, source, paused })
        .then(({ producerId }) => done({ id: producerId }), failed);
    });
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
  }

  async #produce(source: Source, { track, paused }: Wanted): Promise<void> {
    const transport = await this.#transport.get();
    // It may have been given up while the transport was opened.
    if (this.#wanted.get(source)?.track !== track) return;
    const options = { track, stopTracks: false, disableTrackOnPause: false, appData: { source, paused } };
    const producer = await transport.produce({ ...options, ...ENCODING[source] }).catch((error: unknown) => {
      // A transport that was lost meanwhile is asked for again by `#transportLost`; a track that ended is over.
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

  /** A producer that the gateway does not know any more is as good as closed; every other no is a failure. */
  async #tell(type: "close" | "pause" | "resume", producerId: string): Promise<void> {
    await this.#link.signalling.request(type, { producerId }).catch((error: unknown) => {
      if (!(error instanceof RequestError && error.code === "not_found")) throw error;
    });
  }

  #transportLost(): void {
    this.#producers.clear();
    for (const source of this.#wanted.keys()) this.#follow(source);
  }

  #failed(source: Source, error: unknown): void {
    // When the connection went, what is wanted is sent again over the next one.
    if (this.#closed || error instanceof ConnectionEnded || !this.#wanted.has(source)) return;
    this.#wanted.delete(source);
    this.#handlers.failed(source, error);
  }
}
