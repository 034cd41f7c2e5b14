import { describe, expect, it } from "vitest";

import { measure } from "../src/measurement";

/** A report with these entries, as browsers give it. */
function report(...entries: { id: string; type: string; [name: string]: unknown }[]): RTCStatsReport {
  return new Map(entries.map((entry) => [entry.id, entry])) as unknown as RTCStatsReport;
}

const CANDIDATES = [
  { id: "L1", type: "local-candidate", protocol: "udp" },
  { id: "L2", type: "local-candidate", protocol: "tcp" },
];
const STREAMS = [
  { id: "I1", type: "inbound-rtp", ssrc: 11, packetsReceived: 5 },
  { id: "I2", type: "inbound-rtp", ssrc: 22, packetsReceived: 7 },
];

describe("the statistics", () => {
  it("of Chromium name the selected pair in the transport", () => {
    const measured = measure(
      report(
        ...[...CANDIDATES, ...STREAMS, { id: "T", type: "transport", selectedCandidatePairId: "P2", packetsReceived: 20 }],
        { id: "P1", type: "candidate-pair", localCandidateId: "L1", bytesReceived: 1_000 },
        { id: "P2", type: "candidate-pair", localCandidateId: "L2", bytesReceived: 40, responsesReceived: 2 },
      ),
    );
    expect(measured).toMatchObject({ pair: "P2", protocol: "tcp", arrived: 42, media: 32 });
    expect([...(measured?.packets ?? [])]).toEqual([
      [11, 5],
      [22, 7],
    ]);
  });

  it("of Firefox mark the selected pair", () => {
    const measured = measure(
      report(
        ...[...CANDIDATES, ...STREAMS],
        { id: "P1", type: "candidate-pair", localCandidateId: "L1", selected: true, lastPacketReceivedTimestamp: 99 },
        { id: "P2", type: "candidate-pair", localCandidateId: "L2", selected: false },
      ),
    );
    expect(measured).toMatchObject({ pair: "P1", protocol: "udp", arrived: 99, media: 12 });
  });

  it("say nothing before a pair is selected", () => {
    expect(measure(report(...CANDIDATES, { id: "T", type: "transport" }))).toBeUndefined();
  });
});
