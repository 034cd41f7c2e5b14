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

type Entry = Record<string, unknown>;

/** Empty lists while there is no session or no media. */
export async function readStats(session: Session | undefined): Promise<RoomStats> {
  if (!session) return { inbound: [], outbound: [] };
  const reports = await Promise.all([session.inbound.transport.getStats(), session.outbound.transport.getStats()]);
  const [inbound, outbound] = reports.map((report) => [...(report?.values() ?? [])] as Entry[]);
  return { inbound: readInbound(session, inbound ?? []), outbound: readOutbound(session, outbound ?? []) };
}

function readInbound(session: Session, entries: Entry[]): InboundStats[] {
  return ofType(entries, "inbound-rtp").flatMap((entry) => {
    const whose = session.inbound.consumerOf(String(entry["trackIdentifier"]));
    // The probator that mediasoup-client adds is nobody's.
    return whose ? [{ ...entry, ...whose }] : [];
  });
}

function readOutbound(session: Session, entries: Entry[]): OutboundStats[] {
  const tracks = new Map(ofType(entries, "media-source").map((entry) => [entry["id"], entry["trackIdentifier"]]));
  return ofType(entries, "outbound-rtp").flatMap((entry) => {
    const source = session.outbound.sourceOf(String(tracks.get(entry["mediaSourceId"])));
    return source ? [{ ...entry, source }] : [];
  });
}

function ofType(entries: Entry[], type: string): Entry[] {
  return entries.filter((entry) => entry["type"] === type);
}
