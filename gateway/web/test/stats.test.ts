import { describe, expect, it } from "vitest";

import type { Session } from "../src/session";
import { readStats } from "../src/stats";

type Entry = Record<string, unknown>;

function report(...entries: Entry[]): () => Promise<RTCStatsReport> {
  return async () => new Map(entries.map((entry) => [entry["id"], entry])) as unknown as RTCStatsReport;
}

function session(inbound: object[], outbound: object[]): Session {
  return { inbound: { measured: inbound }, outbound: { measured: outbound } } as unknown as Session;
}

// As Firefox 153 reports it: no field leads from a sent stream to its track.
const sent = report(
  { id: "5a5a6b2b", type: "outbound-rtp", kind: "video", ssrc: 7, framesEncoded: 30 },
  { id: "9c8b7a6d", type: "remote-inbound-rtp", kind: "video", ssrc: 7, localId: "5a5a6b2b" },
  { id: "1f1f2f2f", type: "codec", mimeType: "video/VP8" },
);
const received = report(
  { id: "22697f8", type: "inbound-rtp", kind: "audio", packetsReceived: 48 },
  { id: "71b7fa73", type: "remote-outbound-rtp", kind: "audio" },
);

describe("statistics", () => {
  it("label each stream with user and source, even if the browser names no track", async () => {
    const joined = session(
      [{ labels: { userId: "ada", producerId: "p1", source: "microphone" }, getStats: received }],
      [{ labels: { source: "camera" }, getStats: sent }],
    );
    const { inbound, outbound, reports } = await readStats(joined);
    const labels = { userId: "ada", producerId: "p1", source: "microphone" };
    expect(inbound).toEqual([{ id: "22697f8", type: "inbound-rtp", kind: "audio", packetsReceived: 48, ...labels }]);
    expect(outbound).toEqual([{ id: "5a5a6b2b", type: "outbound-rtp", kind: "video", ssrc: 7, framesEncoded: 30, source: "camera" }]);
    expect(reports).toMatchObject([{ localId: "5a5a6b2b", source: "camera" }]);
  });

  it("have the path of the sent streams", async () => {
    const transport = { id: "T", type: "transport", selectedCandidatePairId: "P2" };
    const pairs = report(transport, { id: "P1", type: "candidate-pair" }, { id: "P2", type: "candidate-pair", availableOutgoingBitrate: 9 });
    const { path } = await readStats(session([], [{ labels: { source: "camera" }, getStats: pairs }]));
    expect(path).toMatchObject({ id: "P2", availableOutgoingBitrate: 9 });
  });

  it("have an entry for each sent layer", async () => {
    const layers = report({ id: "1", type: "outbound-rtp", rid: "q" }, { id: "2", type: "outbound-rtp", rid: "f" });
    const { outbound } = await readStats(session([], [{ labels: { source: "camera" }, getStats: layers }]));
    expect(outbound.map(({ rid }) => rid)).toEqual(["q", "f"]);
  });

  it("leave out only the stream that was closed meanwhile", async () => {
    const closed = { labels: { source: "screen" }, getStats: () => Promise.reject(new Error("closed")) };
    const { outbound } = await readStats(session([], [closed, { labels: { source: "camera" }, getStats: sent }]));
    expect(outbound.map(({ source }) => source)).toEqual(["camera"]);
  });

  it("are empty without a session", async () => {
    expect(await readStats(undefined)).toEqual({ inbound: [], outbound: [], reports: [] });
  });
});
