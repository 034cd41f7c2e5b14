import { describe, expect, it } from "vitest";

import { Resumption } from "../src/resumption";

const resumption = () => new Resumption(() => 0);

/** The times of the first attempts, if each ends as `fate` says. */
function attempts(count: number, fate: (machine: Resumption, now: number) => void, machine = resumption()): number[] {
  machine.begin(0);
  const times: number[] = [];
  while (times.length < count) {
    const now = machine.dueAt;
    times.push(now);
    machine.started(now, 0);
    fate(machine, now);
  }
  return times;
}

describe("attempts to resume", () => {
  it("are not wanted before anything happened", () => {
    const machine = resumption();
    expect(machine.isRunning).toBe(false);
    expect(machine.dueAt).toBe(Infinity);
    machine.failed(5);
    expect(machine.dueAt).toBe(Infinity);
  });

  it("begin at once, and come after ever longer waits while they fail", () => {
    const times = attempts(6, (machine, now) => machine.failed(now));
    expect(times).toEqual([0, 300, 900, 2_100, 4_100, 6_100]);
  });

  it("that get no answer are followed by another every half second, and every third one gets longer", () => {
    expect(attempts(7, () => undefined)).toEqual([0, 500, 1_000, 2_500, 3_000, 3_500, 5_000]);
  });

  it("get more time where the round trip is long, but never more than a few seconds", () => {
    const machine = resumption();
    machine.begin(0);
    machine.started(0, 250);
    expect(machine.dueAt).toBe(2_000);
    machine.started(2_000, 60_000);
    expect(machine.dueAt).toBe(6_000);
  });

  it("begin anew at once when the network changes", () => {
    const machine = resumption();
    attempts(4, (each, now) => each.failed(now), machine);
    machine.hurry(9_000);
    expect(machine.dueAt).toBe(9_000);
    machine.started(9_000, 0);
    machine.failed(9_000);
    expect(machine.dueAt).toBe(9_300);
  });

  it("are not hurried by a second doubt", () => {
    const machine = resumption();
    machine.begin(0);
    machine.started(0, 0);
    machine.begin(100);
    expect(machine.dueAt).toBe(500);
  });

  it("end when the session cannot live any more", () => {
    const machine = resumption();
    machine.begin(5_000);
    expect(machine.overAt(0)).toBe(20_000);
    expect(machine.overAt(3_000)).toBe(23_000);
  });

  it("go on for some time after a long sleep, because only the gateway knows whether the session is over", () => {
    const machine = resumption();
    machine.begin(3_600_000);
    expect(machine.overAt(0)).toBe(3_610_000);
  });

  it("are needless if the old WebSocket works after all", () => {
    const machine = resumption();
    machine.begin(0);
    expect(machine.isNeedless(10_000, 4_000)).toBe(false);
    expect(machine.isNeedless(9_000, 8_000)).toBe(false);
    expect(machine.isNeedless(10_000, 8_000)).toBe(true);
  });

  it("leave nothing behind for the next time", () => {
    const machine = resumption();
    attempts(4, (each, now) => each.failed(now), machine);
    machine.end();
    expect(machine.dueAt).toBe(Infinity);
    machine.begin(60_000);
    machine.started(60_000, 0);
    machine.failed(60_000);
    expect(machine.dueAt).toBe(60_300);
  });
});
