/** What the browser measures of one's media, told apart by who and what it is. For people who test and debug. */
import type { Source } from "./protocol";
import type { Session } from "./session";

/** A browser's own `inbound-rtp` entry, with whose and what it is. */
export type InboundStats = Record<string, unknown> & { userId: string; source: Source };
/** A browser's own `outbound-rtp` entry, with what it is. */
export type OutboundStats = Record<string, unknown> & { source: Source };

export interface RoomStats {
  readonly inbound: InboundStats[];
  readonly outbound: OutboundStats[];
}

/** What one stream is, and where its browser measures it. */
export interface Measured<T> {
  readonly what: T;
  getStats(): Promise<RTCStatsReport>;
}

/**
 * Empty lists while there is no session or no media.
 *
 * Each sender and receiver is asked for its own. In the statistics of a whole connection browsers name a stream in
 * different ways: Chromium by its track's id, Firefox by nothing at all where it sends.
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

async function entriesOfOne<T extends object>({ what, getStats }: Measured<T>, type: string) {
  try {
    const entries = [...(await getStats()).values()] as Record<string, unknown>[];
    return entries.filter((entry) => entry["type"] === type).map((entry) => ({ ...entry, ...what }));
  } catch {
    // It was closed meanwhile: there is nothing of it to be measured.
    return [];
  }
}
