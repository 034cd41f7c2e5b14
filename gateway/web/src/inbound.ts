/**
 * Receives media: one consumer for each producer in the participant list, and no others.
 *
 * The session calls `want()` after every change of the list. It starts consuming new producers and drops missing ones
 * at once, even in the middle of a `consume`. Several of them run at the same time. mediasoup-client orders its own steps
 * where it must.
 */
import type { types } from "mediasoup-client";

import { ConsumeRequests } from "./consumeRequests";
import { Demand, topLayers, type Change } from "./demand";
import type { Measurement } from "./measurement";
import { MediaTransport, type MediaTransportHandlers, type TransportContext } from "./mediaTransport";
import type { ConsumerClosedReason, ConsumerEntry, Participant, ParticipantProducer, Source } from "./protocol";
import { delay, RepairTime } from "./repairTime";
import { ConnectionEnded, RequestError } from "./signalling";
import type { ReceivedStream } from "./stalledMembers";
import type { Measured } from "./stats";
import type { Views } from "./views";

/** These sources send all the time, unless they are paused. */
const STEADY: readonly Source[] = ["microphone", "camera"];
const RETRY_MS = 1_000;
const TRIES = 3;

/** A remote track that is ready to be played. */
export interface RemoteMedia {
  readonly userId: string;
  readonly producerId: string;
  readonly kind: types.MediaKind;
  readonly source: Source;
  readonly track: MediaStreamTrack;
  /** Whether the gateway has paused it, because the network carries no more. */
  readonly isStarved: boolean;
}

interface Entry {
  readonly userId: string;
  readonly producer: ParticipantProducer;
  /** Goes up with every attempt to consume. An older attempt that is still running sees this and stops. */
  attempt: number;
  failures: number;
  retry?: ReturnType<typeof setTimeout> | undefined;
  consumerId?: string | undefined;
  consumer?: types.Consumer | undefined;
  /** What the tile needs. Only a video has it, and only while its consumer can receive. */
  demand?: Demand | undefined;
  isStarved?: boolean | undefined;
  /** How long a video waits for lost packets. */
  readonly repairTime: RepairTime;
}

export class Inbound {
  readonly #context: TransportContext;
  readonly #changed: () => void;
  readonly #flowing: (flows: boolean) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #transport: MediaTransport;
  readonly #requests: ConsumeRequests;
  readonly #views: Views;
  readonly #stopWatching: () => void;
  #dueTimer: ReturnType<typeof setTimeout> | undefined;
  /** The listed producers that send, in one string to compare. */
  #sending = "";
  #paused: ReadonlySet<string> = new Set();
  #media: readonly RemoteMedia[] = [];

  constructor(
    context: TransportContext,
    handlers: { changed(): void } & Omit<MediaTransportHandlers, "lost">,
    views: Views,
  ) {
    this.#context = context;
    this.#requests = new ConsumeRequests(context.signalling);
    this.#views = views;
    this.#stopWatching = views.subscribe(() => this.#look());
    this.#changed = handlers.changed;
    this.#flowing = handlers.flowing;
    this.#transport = new MediaTransport("receive", context, {
      lost: () => this.#transportLost(),
      flowing: handlers.flowing,
      troubled: handlers.troubled,
    });
  }

  get transport(): MediaTransport {
    return this.#transport;
  }

  get media(): readonly RemoteMedia[] {
    return this.#media;
  }

  /**
   * Consume exactly the producers of `others`. Consumers of missing producers are closed before this returns. While this
   * person `isDeafened`, the gateway sends no media, so none counts as late.
   */
  want(others: readonly Participant[], isDeafened = false): void {
    this.#expect(others.flatMap(({ producers }) => producers), isDeafened);
    const wanted = new Set(others.flatMap((each) => each.producers.map((producer) => producer.producerId)));
    for (const [producerId, entry] of this.#entries) {
      if (!wanted.has(producerId)) {
        this.#entries.delete(producerId);
        this.#drop(entry);
      }
    }
    for (const { userId, producers } of others) {
      for (const producer of producers) {
        if (!this.#entries.has(producer.producerId)) {
          this.#begin({ userId, producer, attempt: 0, failures: 0, repairTime: new RepairTime() });
        }
      }
    }
    // With nothing to receive, a lost transport is no reason for a notice.
    if (this.#entries.size === 0) this.#flowing(true);
    this.#publish();
  }

  /** The gateway closed a consumer. If the consumer failed, try again while its producer is in the list. */
  consumerClosed(consumerId: string, reason: ConsumerClosedReason): void {
    const entry = [...this.#entries.values()].find((each) => each.consumerId === consumerId);
    if (!entry) return;
    this.#drop(entry);
    this.#publish();
    if (reason === "failed") this.#retryLater(entry);
  }

  /** The gateway has paused a stream for lack of bandwidth, or goes on with it. */
  consumerUpdated(consumerId: string, isStarved: boolean): void {
    const entry = [...this.#entries.values()].find((each) => each.consumerId === consumerId);
    if (!entry || (entry.isStarved ?? false) === isStarved) return;
    entry.isStarved = isStarved;
    this.#transport.expectOther();
    this.#publish();
  }

  /** Consume again what the gateway does not have, and close its consumers that are unknown here. */
  reconcile(consumers: readonly ConsumerEntry[]): void {
    const theirs = new Map(consumers.map((each) => [each.consumerId, each]));
    for (const entry of this.#entries.values()) {
      if (entry.consumerId === undefined) continue;
      const known = theirs.get(entry.consumerId);
      if (known) entry.isStarved = known.starved;
      if (theirs.delete(entry.consumerId)) continue;
      this.#drop(entry);
      this.#begin(entry);
    }
    for (const consumerId of theirs.keys()) this.#context.signalling.request("close", { consumerId }).catch(() => undefined);
    this.#publish();
  }

  /** Let each video wait for the packets that come again. */
  awaitRepairs({ asked, roundTripMs }: Measurement): void {
    const now = performance.now();
    for (const { consumer, repairTime } of this.#entries.values()) {
      if (consumer?.kind !== "video") continue;
      const ssrc = consumer.rtpParameters.encodings?.[0]?.ssrc ?? -1;
      const count = asked.get(ssrc);
      if (count !== undefined) delay(consumer.rtpReceiver, repairTime.next(count, roundTripMs, now));
    }
  }

  /** The streams that should flow all the time, with their packets from the statistics. */
  streams(packets: ReadonlyMap<number, number>): ReceivedStream[] {
    return [...this.#entries.values()].flatMap(({ userId, producer, consumer, demand, isStarved }) => {
      const { producerId, source } = producer;
      const count = packets.get(consumer?.rtpParameters.encodings?.[0]?.ssrc ?? -1);
      const isPaused = this.#paused.has(producerId) || demand?.isPaused || isStarved;
      if (count === undefined || !STEADY.includes(source) || isPaused) return [];
      return [{ userId, producerId, packets: count }];
    });
  }

  /** Every received stream with its labels, for the statistics. */
  get measured(): Measured<{ userId: string; producerId: string; source: Source }>[] {
    return [...this.#entries.values()].flatMap(({ userId, producer: { producerId, source }, consumer }) =>
      consumer ? [{ labels: { userId, producerId, source }, getStats: () => consumer.getStats() }] : [],
    );
  }

  close(): void {
    this.#stopWatching();
    clearTimeout(this.#dueTimer);
    for (const entry of this.#entries.values()) this.#drop(entry);
    this.#entries.clear();
    this.#transport.close();
    this.#publish();
  }

  /** A different set of streams has different pauses between its packets. */
  #expect(producers: readonly ParticipantProducer[], isDeafened: boolean): void {
    const isQuiet = ({ paused }: ParticipantProducer) => paused || isDeafened;
    this.#paused = new Set(producers.filter(isQuiet).map(({ producerId }) => producerId));
    const sending = producers.filter((each) => !isQuiet(each)).map(({ producerId }) => producerId).join();
    if (sending !== this.#sending) this.#transport.expectOther();
    this.#sending = sending;
  }

  #begin(entry: Entry): void {
    this.#entries.set(entry.producer.producerId, entry);
    void this.#consume(entry, ++entry.attempt);
  }

  /**
   * Consume one producer: create a paused consumer at the gateway and in the browser, and resume it once media can flow.
   *
   * Resuming earlier would lose the first key frame. During each step the list may change or the transport may get
   * lost, which starts another attempt or ends all attempts. So every step checks whether its attempt still counts.
   */
  async #consume(entry: Entry, attempt: number): Promise<void> {
    const isWanted = () => entry.attempt === attempt;
    const { signalling } = this.#context;
    const { producerId } = entry.producer;
    try {
      const transport = await this.#transport.get();
      if (!isWanted()) return;
      const answer = await this.#requests.ask(transport.id, producerId);
      if (!isWanted()) return;
      const { consumerId, kind } = answer;
      const rtpParameters = withLossReports(kind, answer.rtpParameters);
      // The gateway may close this consumer while the browser is still making it, so note its id now.
      entry.consumerId = consumerId;
      const consumer = await transport.consume({ id: consumerId, producerId, kind, rtpParameters });
      if (!isWanted()) return consumer.close();
      entry.consumer = consumer;
      this.#publish();
      await this.#transport.connected(transport);
      if (!isWanted()) return;
      // Sound plays, whatever the page shows.
      if (kind === "audio") return void (await signalling.request("resume", { consumerId }));
      entry.demand = new Demand(topLayers(rtpParameters));
      this.#look();
    } catch (error) {
      if (isWanted()) this.#failed(entry, error);
    }
  }

  /** Ask the gateway for what the tiles need now, and look again when it is time. */
  #look(): void {
    clearTimeout(this.#dueTimer);
    const now = performance.now();
    let dueAt = Infinity;
    for (const entry of this.#entries.values()) {
      if (!entry.demand) continue;
      this.#tell(entry, entry.demand.look(this.#views.of(entry.userId, entry.producer.source), now));
      dueAt = Math.min(dueAt, entry.demand.dueAt);
    }
    if (dueAt < Infinity) this.#dueTimer = setTimeout(() => this.#look(), dueAt - now);
  }

  /** Requests reach the gateway in this order, so a video begins with the right layers. */
  #tell(entry: Entry, { priority, layers, paused }: Change): void {
    const { attempt, consumerId } = entry;
    if (consumerId === undefined) return;
    const { signalling } = this.#context;
    const requests: Promise<unknown>[] = [];
    // Without its priority, a video is as good as the others. That is no reason to lose it.
    if (priority !== undefined) signalling.request("set_priority", { consumerId, priority }).catch(() => undefined);
    if (layers) requests.push(signalling.request("set_layers", { consumerId, ...layers }));
    if (paused !== undefined) {
      requests.push(signalling.request(paused ? "pause" : "resume", { consumerId }));
      this.#transport.expectOther();
    }
    Promise.all(requests).catch((error: unknown) => entry.attempt === attempt && this.#failed(entry, error));
  }

  #failed(entry: Entry, error: unknown): void {
    if (error instanceof ConnectionEnded) return;
    const { consumerId } = entry;
    this.#drop(entry);
    this.#publish();
    if (consumerId !== undefined) this.#context.signalling.request("close", { consumerId }).catch(() => undefined);
    // `unsupported` means no common codec, and that will not change.
    const isHopeless = error instanceof RequestError && (error.code === "unsupported" || error.code === "forbidden");
    if (!isHopeless) this.#retryLater(entry);
  }

  #retryLater(entry: Entry): void {
    entry.failures += 1;
    if (entry.failures >= TRIES) return;
    entry.retry = setTimeout(() => this.#begin(entry), RETRY_MS * entry.failures);
  }

  #drop(entry: Entry): void {
    entry.attempt += 1;
    clearTimeout(entry.retry);
    entry.consumer?.close();
    entry.consumer = entry.consumerId = entry.demand = entry.isStarved = undefined;
  }

  #transportLost(): void {
    for (const entry of this.#entries.values()) {
      this.#drop(entry);
      // The gateway reported each consumer as failed, but the cause was the transport. Allow all tries again.
      entry.failures = 0;
      this.#begin(entry);
    }
    this.#publish();
  }

  #publish(): void {
    const media = [...this.#entries.values()].flatMap(({ userId, producer, consumer, isStarved = false }) => {
      if (!consumer) return [];
      const { producerId, kind, source } = producer;
      return [{ userId, producerId, kind, source, track: consumer.track, isStarved }];
    });
    if (sameMedia(media, this.#media)) return;
    this.#media = media;
    this.#changed();
  }
}

/**
 * Let the browser ask at once for each lost packet of sound (NACK), if the gateway can send sound as RED.
 *
 * The gateway does not send the packet again, which would come too late on many networks. It repeats the next packets
 * inside later ones as soon as it hears of two losses. A report would tell it of them only seconds later.
 */
export function withLossReports(kind: types.MediaKind, parameters: types.RtpParameters): types.RtpParameters {
  const isRed = ({ mimeType }: types.RtpCodecParameters) => mimeType.toLowerCase() === "audio/red";
  if (kind !== "audio" || !parameters.codecs.some(isRed)) return parameters;
  const codecs = parameters.codecs.map((codec) => {
    const rtcpFeedback = codec.rtcpFeedback ?? [];
    if (isRed(codec) || rtcpFeedback.some(({ type }) => type === "nack")) return codec;
    return { ...codec, rtcpFeedback: [...rtcpFeedback, { type: "nack" }] };
  });
  return { ...parameters, codecs };
}

function sameMedia(these: readonly RemoteMedia[], those: readonly RemoteMedia[]): boolean {
  const isSame = (each: RemoteMedia, other?: RemoteMedia) => each.track === other?.track && each.isStarved === other.isStarved;
  return these.length === those.length && these.every((each, index) => isSame(each, those[index]));
}
