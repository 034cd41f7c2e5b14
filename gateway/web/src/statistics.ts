/** The figures of the statistics panel, computed from two samples. */
import type { Source, Stats } from "./protocol";
import type { RoomStats } from "./stats";

/** Everything that browser and gateway measured at one time, in milliseconds. */
export interface Sample {
  readonly at: number;
  readonly browser: RoomStats;
  /** Undefined if the gateway did not answer. */
  readonly gateway: Stats | undefined;
}

/** One stream, or one encoding of a sent stream. What is not known is undefined. */
export interface Figures {
  readonly key: string;
  readonly userId?: string;
  readonly source: Source;
  /** Pixels of the decoded or encoded picture. */
  readonly size: string | undefined;
  readonly framesPerSecond: number | undefined;
  readonly bitsPerSecond: number | undefined;
  /** The share of lost packets since the earlier sample, 0 to 1. For a sent stream, as the gateway last reported it. */
  readonly lost: number | undefined;
  readonly roundTripMs: number | undefined;
  /** The layers that the gateway forwards, counted from 1, or the name of the sent encoding. */
  readonly layers: string | undefined;
}

export interface Statistics {
  readonly received: Figures[];
  readonly sent: Figures[];
  /** What the browser can send to the gateway, as it estimates. */
  readonly sendable: number | undefined;
  /** What the gateway can send to the browser, as the gateway estimates. */
  readonly receivable: number | undefined;
}

type Entry = Readonly<Record<string, unknown>>;

/** The figures as of `now`. Rates are means since `before`. */
export function statisticsOf(before: Sample, now: Sample): Statistics {
  const seconds = (now.at - before.at) / 1_000;
  const earlier = new Map([...before.browser.inbound, ...before.browser.outbound].map((entry) => [entry["id"], entry]));
  const grown = (entry: Entry, name: string) => {
    const [from, to] = [number(earlier.get(entry["id"]), name), number(entry, name)];
    return from === undefined || to === undefined || to < from ? undefined : to - from;
  };
  const rate = (entry: Entry, name: string) => {
    const growth = grown(entry, name);
    return growth === undefined || seconds <= 0 ? undefined : growth / seconds;
  };
  const common = (entry: Entry, frames: string, bytes: string) => ({
    key: String(entry["id"]),
    size: sizeOf(entry),
    framesPerSecond: entry["kind"] === "video" ? rate(entry, frames) : undefined,
    bitsPerSecond: times(8, rate(entry, bytes)),
  });
  const received = now.browser.inbound.map((entry) => ({
    ...common(entry, "framesDecoded", "bytesReceived"),
    userId: entry.userId,
    source: entry.source,
    lost: share(grown(entry, "packetsLost"), grown(entry, "packetsReceived")),
    ...forwarded(now.gateway, entry.producerId),
  }));
  const sent = now.browser.outbound.map((entry) => {
    const report = now.browser.reports.find((each) => each["localId"] === entry["id"]);
    return {
      ...common(entry, "framesEncoded", "bytesSent"),
      source: entry.source,
      lost: number(report, "fractionLost"),
      roundTripMs: times(1_000, number(report, "roundTripTime")),
      layers: entry["rid"] === undefined ? undefined : String(entry["rid"]),
    };
  });
  // A browser lists the encodings in no order.
  sent.sort((one, other) => one.source.localeCompare(other.source) || (one.layers ?? "").localeCompare(other.layers ?? ""));
  const receivable = now.gateway?.transports.find(({ direction }) => direction === "receive")?.availableBitrate;
  return { received, sent, sendable: number(now.browser.path, "availableOutgoingBitrate"), receivable };
}

/** What the gateway says about the stream that it forwards. */
function forwarded(gateway: Stats | undefined, producerId: string): Pick<Figures, "roundTripMs" | "layers"> {
  const consumer = gateway?.consumers.find((each) => each.producerId === producerId);
  const layers = consumer?.layers && `${consumer.layers.spatial + 1} · ${consumer.layers.temporal + 1}`;
  return { roundTripMs: consumer?.roundTripMs, layers: consumer?.paused ? "paused" : layers };
}

function sizeOf(entry: Entry): string | undefined {
  const [width, height] = [number(entry, "frameWidth"), number(entry, "frameHeight")];
  return width && height ? `${width} × ${height}` : undefined;
}

/** Duplicates let a browser take back losses, so that there are none. */
function share(lost: number | undefined, received: number | undefined): number | undefined {
  if (received === undefined) return undefined;
  const all = (lost ?? 0) + received;
  return all > 0 ? (lost ?? 0) / all : undefined;
}

function number(entry: Entry | undefined, name: string): number | undefined {
  const value = entry?.[name];
  return typeof value === "number" ? value : undefined;
}

function times(factor: number, value: number | undefined): number | undefined {
  return value === undefined ? undefined : factor * value;
}
