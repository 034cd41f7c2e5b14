import { describe, expect, it } from "vitest";

import { StalledMembers, type ReceivedStream } from "../src/stalledMembers";

const stream = (userId: string, producerId: string, packets: number): ReceivedStream => ({ userId, producerId, packets });

describe("a member", () => {
  it("whose packets stand still for 1.5 s is stalled, until more come", () => {
    const members = new StalledMembers();
    members.update([stream("ada", "a", 10)], 0);
    expect(members.update([stream("ada", "a", 10)], 1_499)).toBe(false);
    expect(members.update([stream("ada", "a", 10)], 1_500)).toBe(true);
    expect(members.userIds).toEqual(["ada"]);
    expect(members.update([stream("ada", "a", 11)], 1_600)).toBe(true);
    expect(members.userIds).toEqual([]);
  });

  it("with one stream that moves is not stalled", () => {
    const members = new StalledMembers();
    members.update([stream("ada", "a", 10), stream("ada", "b", 1)], 0);
    expect(members.update([stream("ada", "a", 10), stream("ada", "b", 2)], 2_000)).toBe(false);
  });

  it("whose first packet is on its way is not stalled", () => {
    const members = new StalledMembers();
    members.update([stream("ada", "a", 0)], 0);
    expect(members.update([stream("ada", "a", 0)], 9_000)).toBe(false);
  });

  it("who resumes a paused stream gets time again", () => {
    const members = new StalledMembers();
    members.update([stream("ada", "a", 10)], 0);
    members.update([], 1_000);
    members.update([stream("ada", "a", 10)], 60_000);
    expect(members.update([stream("ada", "a", 10)], 61_000)).toBe(false);
    expect(members.update([stream("ada", "a", 10)], 61_500)).toBe(true);
  });

  it("is forgotten when nothing can be said of anybody", () => {
    const members = new StalledMembers();
    members.update([stream("ada", "a", 10), stream("bea", "b", 10)], 0);
    members.update([stream("ada", "a", 10), stream("bea", "b", 20)], 2_000);
    expect(members.userIds).toEqual(["ada"]);
    expect(members.forget()).toBe(true);
    expect(members.forget()).toBe(false);
    expect(members.update([stream("ada", "a", 10)], 3_000)).toBe(false);
  });
});
