import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Presence } from "../src/session";
import { fakeTimers, participant, settle } from "./fakes";
import { heardAndSeen, join, present } from "./joined";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

describe("when somebody leaves", () => {
  it("their media ends before the list is shown without them", async () => {
    const { gateway, session, shown } = await join([participant("ada", ["microphone", "camera"])]);
    const tracks = session.presence.media.map((each) => each.track);
    const states: string[][] = [];
    const before = shown.length;
    shown.push = (presence) => {
      states.push(tracks.map((each) => each.readyState));
      return Array.prototype.push.call(shown, presence);
    };
    gateway.tell("user_left", participant("ada"), [participant("me")]);
    expect(states).toEqual([["ended", "ended"]]);
    expect(shown).toHaveLength(before + 1);
  });

  it("no state has their media without their entry in the list", async () => {
    const { gateway, shown } = await join([participant("ada", ["microphone", "camera"]), participant("bea", ["camera"])]);
    gateway.tell("user_left", participant("ada"), [participant("bea", ["camera"]), participant("me")]);
    await settle();
    for (const presence of shown) {
      for (const { userId } of presence.media) expect(present(presence)).toContain(userId);
    }
    expect(present(shown.at(-1) as Presence)).toEqual(["bea", "me"]);
  });

  it("and comes back, their producers are consumed again", async () => {
    const { gateway, now, log } = await join([participant("ada", ["camera"])]);
    const me = participant("me");
    gateway.tell("user_left", participant("ada"), [me]);
    const back = participant("ada", ["microphone"]);
    gateway.tell("user_joined", back, [me, back]);
    await settle();
    expect(heardAndSeen(now())).toEqual(["ada microphone"]);
    expect(log).toEqual(["ada left", "ada joined"]);
  });
});

describe("the quality of each connection", () => {
  it("is what the gateway said last, and is forgotten with its member", async () => {
    const { gateway, now } = await join([participant("ada")]);
    gateway.socket.tell("connection_quality", { userId: "ada", quality: "good" });
    gateway.socket.tell("connection_quality", { userId: "me", quality: "excellent" });
    gateway.socket.tell("connection_quality", { userId: "ada", quality: "poor" });
    expect([...now().qualities]).toEqual([["ada", "poor"], ["me", "excellent"]]);
    gateway.tell("user_left", participant("ada"), [participant("me")]);
    expect([...now().qualities]).toEqual([["me", "excellent"]]);
  });
});

describe("a session that lost events", () => {
  it("forgets who spoke and how good connections were, since the gateway says so anew", async () => {
    const { gateway, session, now } = await join([participant("ada")]);
    gateway.socket.tell("active_speakers", { userIds: ["ada"] });
    gateway.socket.tell("connection_quality", { userId: "ada", quality: "poor" });
    const state = { lastRequest: 9, lastEvent: 9, epoch: 1 };
    session.resumed({ lost: false, ...state });
    expect(now()).toMatchObject({ speakers: ["ada"], qualities: new Map([["ada", "poor"]]) });
    session.resumed({ lost: true, ...state, participants: [participant("ada"), participant("me")], revision: 7 });
    expect(now()).toMatchObject({ speakers: [], qualities: new Map() });
  });
});

describe("a missing revision", () => {
  it("ends the connection, so that the next one brings a new snapshot", async () => {
    const { gateway, ends, shown } = await join([participant("ada")]);
    const before = shown.length;
    gateway.revision += 1;
    gateway.tell("user_left", participant("ada"), [participant("me")]);
    expect(ends).toEqual([{ code: 1006, reason: "the participant list has a gap" }]);
    expect(shown).toHaveLength(before);
  });
});

describe("a session that was moved by a moderator", () => {
  const state = { lost: true, lastRequest: 9, lastEvent: 9, epoch: 1, revision: 7, producers: [], transports: [], consumers: [] };

  it("goes to the other channel, also if it hears of it only by resuming", async () => {
    const { session, log } = await join([participant("ada", ["camera"])]);
    session.resumed({ ...state, channelId: "kitchen", participants: [participant("cleo"), participant("me")] });
    expect(log).toEqual(["moved to kitchen"]);
  });

  it("stays where it is if it resumes in its own channel", async () => {
    const { session, log, now } = await join([participant("ada")]);
    session.resumed({ ...state, channelId: "lobby", participants: [participant("bea"), participant("me")] });
    expect(log).toEqual(["ada left", "bea joined"]);
    expect(now().participants.map(({ userId }) => userId)).toEqual(["bea", "me"]);
  });
});

describe("a closed session", () => {
  it("has stopped every received track", async () => {
    const { session } = await join([participant("ada", ["microphone", "camera"])]);
    const tracks = session.presence.media.map((each) => each.track);
    session.close();
    expect(tracks.map((each) => each.readyState)).toEqual(["ended", "ended"]);
  });

  it("leaves no timer behind, whatever it waited for", async () => {
    const { gateway, session, signalling } = await join([participant("ada", ["camera"]), participant("bea", ["camera"])]);
    const [resumed] = gateway.socket.asked("resume");
    gateway.socket.tell("consumer_closed", { consumerId: resumed?.consumerId as string, reason: "failed" });
    const { transportId } = gateway.socket.asked("consume")[0] ?? { transportId: "" };
    session.close();
    signalling.close();
    expect(vi.getTimerCount()).toBe(0);

    const again = await join([participant("ada", ["camera"])]);
    const lost = again.gateway.socket.asked("consume")[0]?.transportId ?? transportId;
    again.gateway.socket.tell("transport_state", { transportId: lost, state: "failed" });
    await vi.advanceTimersByTimeAsync(1);
    again.session.close();
    again.signalling.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("reports nothing more, whatever still arrives", async () => {
    const { gateway, session, shown } = await join([participant("ada", ["camera"])]);
    const before = shown.length;
    session.close();
    gateway.tell("user_left", participant("ada"), [participant("me")]);
    await settle();
    expect(shown).toHaveLength(before);
  });
});
