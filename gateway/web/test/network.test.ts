import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { watchNetwork } from "../src/network";
import { fakeTimers } from "./fakes";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

function watching() {
  let slept = 0;
  const seen: string[] = [];
  const [window, connection] = [new EventTarget(), Object.assign(new EventTarget(), { type: "wifi" })];
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" as DocumentVisibilityState });
  const stop = watchNetwork(
    { changed: () => seen.push("changed"), doubtful: () => seen.push("doubtful") },
    { window, document, connection, now: () => performance.now() + slept },
  );
  return { seen, window, document, connection, stop, sleep: (ms: number) => void (slept += ms) };
}

const happens = (target: EventTarget, event: string) => target.dispatchEvent(new Event(event));

describe("the machine has another network", () => {
  it("when the browser is online again, or wakes the page up", () => {
    const { seen, window, document } = watching();
    happens(window, "online");
    happens(document, "resume");
    expect(seen).toEqual(["changed", "changed"]);
  });

  it("when the type of the network changes, but perhaps not when only its speed does", () => {
    const { seen, connection } = watching();
    happens(connection, "change");
    connection.type = "cellular";
    happens(connection, "change");
    happens(connection, "change");
    expect(seen).toEqual(["doubtful", "changed", "doubtful"]);
  });

  it("perhaps when it goes offline, or when a person looks at the page again", () => {
    const { seen, window, document } = watching();
    happens(window, "offline");
    happens(document, "visibilitychange");
    document.visibilityState = "hidden";
    happens(document, "visibilitychange");
    expect(seen).toEqual(["doubtful", "doubtful"]);
  });
});

describe("a machine that slept", () => {
  it("shows by a late tick, once", async () => {
    const { seen, sleep } = watching();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(seen).toEqual([]);
    sleep(6_000);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual(["changed"]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(seen).toEqual(["changed"]);
  });

  it("shows when the page becomes visible, even before the tick", async () => {
    const { seen, sleep, document } = watching();
    sleep(3_600_000);
    happens(document, "visibilitychange");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen).toEqual(["changed"]);
  });

  it("is not a page in the background, whose ticks are late", async () => {
    const { seen, sleep } = watching();
    for (let time = 0; time < 10; time += 1) {
      sleep(1_000);
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(seen).toEqual([]);
  });
});

describe("after the end", () => {
  it("nothing is noticed any more", async () => {
    const { seen, window, document, sleep, stop } = watching();
    stop();
    sleep(60_000);
    happens(window, "online");
    happens(document, "resume");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
