import { describe, expect, it } from "vitest";

import { CLOSE_CODES } from "../src/protocol";
import { closeCodeOf, delayMs, isUsableUrl } from "../src/reconnect";

const ended = (code: number, retryAfterMs?: number) => ({
  code,
  reason: "",
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

const FIRST_DELAYS: [number, number | undefined][] = [
  [1000, undefined],
  [1001, 5_000],
  [1002, undefined],
  [1003, undefined],
  [1006, 1_000],
  [1007, undefined],
  [1009, undefined],
  [1012, 250],
  [4400, undefined],
  [4401, undefined],
  [4403, undefined],
  [4408, 1_000],
  [4409, undefined],
  [4410, undefined],
  [4413, 1_000],
  [4429, 5_000],
  [4500, 1_000],
];

describe("after a close code", () => {
  it.each(FIRST_DELAYS)("%i, the next attempt comes after %s ms", (code, delay) => {
    expect(delayMs(ended(code), 0, 0)).toBe(delay);
  });

  it("of the protocol there is a row in this table", () => {
    expect(FIRST_DELAYS.map(([code]) => code)).toEqual(Object.keys(CLOSE_CODES).map(Number));
  });

  it("that is unknown, the next attempt comes later", () => {
    expect(delayMs(ended(1013), 0, 0)).toBe(5_000);
  });
});

describe("the wait", () => {
  it("doubles with each attempt, up to half a minute", () => {
    const delays = [0, 1, 2, 3, 4, 5, 6, 7, 20].map((attempt) => delayMs(ended(1006), attempt, 0));
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  });

  it("gets up to a quarter longer at random, so that not everybody comes back at once", () => {
    expect(delayMs(ended(1006), 0, 0.5)).toBe(1_125);
    expect(delayMs(ended(1006), 0, 1)).toBe(1_250);
  });

  it("is at least as long as the gateway asked for", () => {
    expect(delayMs(ended(4429, 60_000), 0, 0)).toBe(60_000);
    expect(delayMs(ended(1001, 8_000), 0, 1)).toBe(10_000);
    expect(delayMs(ended(1001, 8_000), 5, 0)).toBe(8_000);
  });

  it("is never shorter than the first wait, whatever the gateway asks for", () => {
    expect(delayMs(ended(1001, 10), 0, 0)).toBe(5_000);
    expect(delayMs(ended(4500, 0), 0, 0)).toBe(1_000);
  });

  it("is short while the gateway is being replaced, also when nobody answers yet", () => {
    expect(delayMs(ended(1012, 700), 0, 0, true)).toBe(700);
    expect([1, 2, 3].map((attempt) => delayMs(ended(1006), attempt, 0, true))).toEqual([500, 1_000, 2_000]);
    expect(delayMs(ended(4429), 1, 0, true)).toBe(10_000);
  });

  it("does not exist after a code that says stop, whatever the gateway asks for", () => {
    expect(delayMs(ended(4409, 1_000), 0, 0)).toBeUndefined();
  });
});

describe("an error in answer to join", () => {
  it.each([
    ["unauthenticated", 4401],
    ["forbidden", 4403],
    ["limit_exceeded", 4429],
    ["rate_limited", 4429],
    ["internal", 4500],
    ["timeout", 4500],
    ["invalid", 4400],
    ["conflict", 4409],
  ] as const)("%s counts as close code %i", (error, code) => {
    expect(closeCodeOf(error)).toBe(code);
  });
});

describe("another address", () => {
  it.each([
    ["wss://b.example/ws", true, true],
    ["ws://b.example/ws", true, false],
    ["ws://b.example/ws", false, true],
    ["https://b.example/ws", false, false],
    ["b.example", false, false],
  ])("%s of a page over TLS (%s) is usable: %s", (url, isSecure, isUsable) => {
    expect(isUsableUrl(url, isSecure)).toBe(isUsable);
  });
});
