import { describe, expect, it } from "vitest";

import type { Participant, VoiceState } from "../src/protocol";
import { Roster } from "../src/roster";
import { participant } from "./fakes";

const ada = participant("ada");
const bea = participant("bea");
const cleo = participant("cleo");

function change(type: VoiceState["type"], who: Participant, revision: number, after?: Participant[]): VoiceState {
  const { userId, username } = who;
  const list = after ? { participants: after } : {};
  return { type, channelId: "lobby", userId, username, epoch: 1, revision, participant: who, count: 0, ...list };
}

const names = (list: readonly Participant[]) => list.map(({ userId }) => userId);

describe("a list", () => {
  it("takes the whole list from an event that has one", () => {
    const roster = new Roster([ada, bea], 4);
    const applied = roster.apply(change("user_joined", cleo, 5, [ada, bea, cleo]));
    expect(applied).toEqual({ kind: "applied", joined: [cleo], left: [] });
    expect(roster.participants).toEqual([ada, bea, cleo]);
    expect(roster.revision).toBe(5);
  });

  it("puts a new participant at its end if the event has no list", () => {
    const roster = new Roster([ada], 1);
    expect(roster.apply(change("user_joined", bea, 2))).toMatchObject({ kind: "applied", joined: [bea] });
    expect(names(roster.participants)).toEqual(["ada", "bea"]);
  });

  it("removes a participant who left if the event has no list", () => {
    const roster = new Roster([ada, bea, cleo], 1);
    expect(roster.apply(change("user_left", bea, 2))).toMatchObject({ kind: "applied", left: [bea] });
    expect(names(roster.participants)).toEqual(["ada", "cleo"]);
  });

  it("updates a participant in place if the event has no list", () => {
    const roster = new Roster([ada, bea, cleo], 1);
    const talking = participant("bea", ["microphone"]);
    expect(roster.apply(change("user_updated", talking, 2))).toEqual({ kind: "applied", joined: [], left: [] });
    expect(roster.participants).toEqual([ada, talking, cleo]);
  });

  it("applies several events of which only the last has the list", () => {
    const roster = new Roster([ada, bea, cleo], 7);
    roster.apply(change("user_left", bea, 8));
    roster.apply(change("user_left", cleo, 9, [ada]));
    expect(names(roster.participants)).toEqual(["ada"]);
    expect(roster.revision).toBe(9);
  });

  it("reports a gap after a missed event, and stays as it was", () => {
    const roster = new Roster([ada], 4);
    expect(roster.apply(change("user_joined", cleo, 6, [ada, bea, cleo]))).toEqual({ kind: "gap" });
    expect(roster.revision).toBe(4);
  });

  it("does not apply an event twice", () => {
    const roster = new Roster([ada], 4);
    expect(roster.apply(change("user_joined", bea, 4))).toEqual({ kind: "stale" });
    expect(names(roster.participants)).toEqual(["ada"]);
  });

  it("is a new array after each change, so that it can be compared by identity", () => {
    const roster = new Roster([ada], 1);
    const before = roster.participants;
    roster.apply(change("user_updated", ada, 2));
    expect(roster.participants).not.toBe(before);
  });
});
