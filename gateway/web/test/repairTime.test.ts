import { describe, expect, it } from "vitest";

import { delay, RepairTime } from "../src/repairTime";

describe("the time for repairs", () => {
  it("is the browser's own while nothing is asked for again", () => {
    const time = new RepairTime();
    expect([7, 7, 7].map((asked, look) => time.next(asked, 20, 200 * look))).toEqual([null, null, null]);
  });

  it("has room for a round trip while packets are asked for, and for some time after", () => {
    const time = new RepairTime();
    time.next(0, 20, 0);
    expect(time.next(1, 20, 200)).toBe(125);
    expect(time.next(1, 20, 20_100)).toBe(125);
    expect(time.next(1, 20, 20_200)).toBeNull();
  });

  it("follows the round trip only in large steps, and up to a limit", () => {
    const time = new RepairTime();
    time.next(0, 20, 0);
    expect([20, 30, 100, 5_000].map((trip, look) => time.next(1 + look, trip, 200 * look))).toEqual([125, 125, 225, 400]);
  });

  it("is set only where the browser knows it", () => {
    const receiver = { jitterBufferTarget: null } as unknown as RTCRtpReceiver;
    delay(receiver, 125);
    expect(receiver).toEqual({ jitterBufferTarget: 125 });
    const old = {} as unknown as RTCRtpReceiver;
    delay(old, 125);
    expect(old).toEqual({});
    delay(undefined, 125);
  });
});
