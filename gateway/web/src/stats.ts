/** The browser's own media statistics, labelled with user and source. For the statistics panel and for tests. */
import { selectedPair } from "./measurement";
import type { Source } from "./protocol";
import type { Session } from "./session";

/** A browser's own `inbound-rtp` entry, labelled with the user it comes from, its producer and its source. */
export type InboundStats = Record<string, unknown> & { userId: string; producerId: string; source: Source };
/** A browser's own `outbound-rtp` entry, labelled with its source. */
export type OutboundStats = Record<string, unknown> & { source: Source };

export interface RoomStats {
  readonly inbound: InboundStats[];
  readonly outbound: OutboundStats[];
  /** The `remote-inbound-rtp` entries of the sent streams: what the gateway reported about them. */
  readonly reports: OutboundStats[];
  /** The candidate pair that carries the sent streams. */
  readonly path?: Readonly<Record<string, unknown>> | undefined;
}

/** One stream: its labels, and the function that gives the browser's statistics of it. */
export interface Measured<T> {
  readonly labels: T;
  getStats(): Promise<RTCStatsReport>;
}

/**
 * The statistics of every stream. The lists are empty while there is no session or no media.
 *
 * Each sender and receiver is asked separately. In the statistics of a whole connection streams are hard to identify:
 * Chromium gives the track's id, but Firefox gives nothing for sent streams.
 */
export async function readStats(session: Session | undefined): Promise<RoomStats> {
  const [received, sent] = await Promise.all([
    entriesOf(session?.inbound.measured ?? []),
    entriesOf(session?.outbound.measured ?? []),
  ]);
  const [inbound, outbound, reports] = [only("inbound-rtp", received), only("outbound-rtp", sent), only("remote-inbound-rtp", sent)];
  const path = selectedPair(new Map(sent.map((entry) => [String(entry["id"]), entry])), sent);
  return { inbound, outbound, reports, path };
}

function only<T extends Record<string, unknown>>(type: string, entries: T[]): T[] {
  return entries.filter((entry) => entry["type"] === type);
}

async function entriesOf<T extends object>(streams: Measured<T>[]) {
  return (await Promise.all(streams.map(entriesOfOne))).flat();
}

async function entriesOfOne<T extends object>({ labels, getStats }: Measured<T>) {
  try {
    const entries = [...(await getStats()).values()] as Record<string, unknown>[];
    return entries.map((entry) => ({ ...entry, ...labels }) as Record<string, unknown> & T);
  } catch {
    // The stream was closed meanwhile, so there is nothing to measure.
    return [];
  }
}
