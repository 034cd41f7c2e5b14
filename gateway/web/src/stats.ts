/** The browser's own media statistics, labelled with user and source. For testing and debugging. */
import type { Source } from "./protocol";
import type { Session } from "./session";

/** A browser's own `inbound-rtp` entry, labelled with the user it comes from and its source. */
export type InboundStats = Record<string, unknown> & { userId: string; source: Source };
/** A browser's own `outbound-rtp` entry, labelled with its source. */
export type OutboundStats = Record<string, unknown> & { source: Source };

export interface RoomStats {
  readonly inbound: InboundStats[];
  readonly outbound: OutboundStats[];
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
  const [inbound, outbound] = await Promise.all([
    entriesOf(session?.inbound.measured ?? [], "inbound-rtp"),
    entriesOf(session?.outbound.measured ?? [], "outbound-rtp"),
  ]);
  return { inbound, outbound };
}

async function entriesOf<T extends object>(streams: Measured<T>[], type: string) {
  const reports = await Promise.all(streams.map((stream) => entriesOfOne(stream, type)));
  return reports.flat();
}

async function entriesOfOne<T extends object>({ labels, getStats }: Measured<T>, type: string) {
  try {
    const entries = [...(await getStats()).values()] as Record<string, unknown>[];
    return entries.filter((entry) => entry["type"] === type).map((entry) => ({ ...entry, ...labels }));
  } catch {
    // The stream was closed meanwhile, so there is nothing to measure.
    return [];
  }
}
