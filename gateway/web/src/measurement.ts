/** What a browser's statistics say about one transport, in the form that the watch needs. */

export interface Measurement {
  /** The candidate pair that carries media now. */
  readonly pair: string;
  /** The protocol of this pair. */
  readonly protocol: "udp" | "tcp";
  /** Grows with everything that arrives over this pair. */
  readonly arrived: number;
  /** Grows with all media that arrives, also over another pair. A browser may hold on to a pair that is dead. */
  readonly media: number;
  /** The packets of each received stream, by SSRC. */
  readonly packets: ReadonlyMap<number, number>;
  /** How often the browser has asked for lost packets of each received stream, by SSRC. */
  readonly asked: ReadonlyMap<number, number>;
  /** The round trip over this pair, in milliseconds. 0 before the browser knows it. */
  readonly roundTripMs: number;
}

type Entry = Readonly<Record<string, unknown>>;

/** Returns undefined if no candidate pair is selected, or if the browser does not say which. */
export function measure(report: RTCStatsReport): Measurement | undefined {
  const byId = new Map<string, Entry>();
  report.forEach((entry: Entry) => byId.set(String(entry["id"]), entry));
  const entries = [...byId.values()];
  const pair = selectedPair(byId, entries);
  if (!pair) return undefined;
  const packets = new Map<number, number>();
  const asked = new Map<number, number>();
  let media = 0;
  for (const entry of entries) {
    if (entry["type"] === "inbound-rtp") {
      packets.set(Number(entry["ssrc"]), numberIn(entry, "packetsReceived"));
      asked.set(Number(entry["ssrc"]), numberIn(entry, "nackCount"));
    }
    // Only Chromium has transports' entries. They count reports, too.
    if (entry["type"] === "inbound-rtp" || entry["type"] === "transport") media += numberIn(entry, "packetsReceived");
  }
  const local = byId.get(String(pair["localCandidateId"]));
  const protocol = local?.["protocol"] === "tcp" ? "tcp" : "udp";
  const roundTripMs = 1_000 * numberIn(pair, "currentRoundTripTime");
  return { pair: String(pair["id"]), protocol, arrived: arrivedOver(pair), media, packets, asked, roundTripMs };
}

/** Chromium names the pair in the transport's entry. Firefox marks the pair. */
export function selectedPair(byId: ReadonlyMap<string, Entry>, entries: readonly Entry[]): Entry | undefined {
  const transport = entries.find((entry) => entry["type"] === "transport" && entry["selectedCandidatePairId"]);
  if (transport) return byId.get(String(transport["selectedCandidatePairId"]));
  return entries.find((entry) => entry["type"] === "candidate-pair" && entry["selected"] === true);
}

/** Bytes of media, answers to STUN requests, and the time of the newest packet. No browser counts all of them. */
function arrivedOver(pair: Entry): number {
  const counters = ["bytesReceived", "responsesReceived", "requestsReceived", "lastPacketReceivedTimestamp"];
  return counters.reduce((sum, counter) => sum + numberIn(pair, counter), 0);
}

function numberIn(entry: Entry, name: string): number {
  const value = entry[name];
  return typeof value === "number" ? value : 0;
}
