import { describe, expect, it } from "vitest";

import type { Stats } from "../src/protocol";
import { statisticsOf, type Sample } from "../src/statistics";

type Entries = Record<string, unknown>[];

function sample(at: number, inbound: Entries, outbound: Entries = [], more: object = {}, gateway?: Stats): Sample {
  const labelled = inbound.map((entry) => ({ userId: "ada", producerId: "p1", source: "camera" as const, ...entry }));
  const sent = outbound.map((entry) => ({ source: "camera" as const, ...entry }));
  return { at, browser: { inbound: labelled, outbound: sent, reports: [], ...more }, gateway };
}

const consumer = { consumerId: "c1", producerId: "p1", kind: "video" as const, paused: false, packets: 9, bytes: 9 };

describe("the statistics of received streams", () => {
  const video = { id: "in", kind: "video", frameWidth: 640, frameHeight: 360 };
  const before = sample(1_000, [{ ...video, framesDecoded: 10, bytesReceived: 1_000, packetsReceived: 90, packetsLost: 2 }]);
  const after = { ...video, framesDecoded: 60, bytesReceived: 126_000, packetsReceived: 180, packetsLost: 12 };

  it("are means over the time between two samples", () => {
    const { received } = statisticsOf(before, sample(3_000, [after]));
    expect(received).toMatchObject([
      { userId: "ada", source: "camera", size: "640 × 360", framesPerSecond: 25, bitsPerSecond: 500_000, lost: 0.1 },
    ]);
  });

  it("have the layers and the round trip from the gateway", () => {
    const stats = { transports: [], producers: [], consumers: [{ ...consumer, layers: { spatial: 1, temporal: 2 }, roundTripMs: 40 }] };
    expect(statisticsOf(before, sample(2_000, [after], [], {}, stats)).received).toMatchObject([{ layers: "2 · 3", roundTripMs: 40 }]);
    const paused = { ...stats, consumers: [{ ...consumer, paused: true }] };
    expect(statisticsOf(before, sample(2_000, [after], [], {}, paused)).received).toMatchObject([{ layers: "paused" }]);
  });

  it("have what the gateway estimates that it can send to the browser", () => {
    const transports = [
      { transportId: "t1", direction: "send", state: "connected" },
      { transportId: "t2", direction: "receive", state: "connected", availableBitrate: 800_000 },
    ] as const;
    const stats = { transports: [...transports], producers: [], consumers: [] };
    expect(statisticsOf(before, sample(2_000, [after], [], {}, stats)).receivable).toBe(800_000);
    expect(statisticsOf(before, sample(2_000, [after])).receivable).toBeUndefined();
  });

  it("leave out what is not known: of a new stream, of sound, and of counters that were reset", () => {
    const unknown = { framesPerSecond: undefined, bitsPerSecond: undefined, lost: undefined };
    expect(statisticsOf(sample(0, []), before).received).toMatchObject([unknown]);
    const sound = { ...after, id: "in", kind: "audio", frameWidth: undefined };
    expect(statisticsOf(before, sample(3_000, [sound])).received).toMatchObject([{ framesPerSecond: undefined, size: undefined }]);
    expect(statisticsOf(sample(0, [after]), sample(1_000, [{ ...after, bytesReceived: 5 }])).received).toMatchObject([{ bitsPerSecond: undefined }]);
  });
});

describe("the statistics of sent streams", () => {
  it("have a line for each encoding in rising quality, with what the gateway reported about it", () => {
    const low = { id: "out0", kind: "video", rid: "r0", framesEncoded: 0, bytesSent: 0 };
    const high = { ...low, id: "out1", rid: "r1" };
    const reports = [{ localId: "out1", source: "camera", fractionLost: 0.05, roundTripTime: 0.03 }];
    const path = { availableOutgoingBitrate: 1_500_000 };
    const now = sample(1_000, [], [high, { ...low, framesEncoded: 20, bytesSent: 10_000 }], { reports, path });
    const { sent, sendable } = statisticsOf(sample(0, [], [low, high]), now);
    expect(sent).toMatchObject([
      { layers: "r0", framesPerSecond: 20, bitsPerSecond: 80_000, lost: undefined },
      { layers: "r1", framesPerSecond: 0, bitsPerSecond: 0, lost: 0.05, roundTripMs: 30 },
    ]);
    expect(sendable).toBe(1_500_000);
  });
});
