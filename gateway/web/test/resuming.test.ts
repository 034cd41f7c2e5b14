import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { GatewayEvent, Request, SessionResumed } from "../src/protocol";
import { AnswerLost, ConnectionEnded, Signalling, type Ended, type Socket } from "../src/signalling";
import { FakeSocket, fakeTimers, participant } from "./fakes";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

const SESSION = { sessionId: "s1", sessionSecret: "secret", pingIntervalMs: 5_000 };

/** A session whose `join` had the id 1, with every WebSocket that it opened. */
function inSession() {
  const sockets: FakeSocket[] = [];
  const events: GatewayEvent[] = [];
  const ends: Ended[] = [];
  const left: (Socket | undefined)[] = [];
  const states: SessionResumed[] = [];
  const resuming: boolean[] = [];
  const signalling = new Signalling(
    "ws://gateway/ws",
    {
      opened: () => undefined,
      event: (event) => events.push(event),
      resumed: (state) => states.push(state),
      resuming: (isResuming) => resuming.push(isResuming),
      ended: (ended, socket) => {
        ends.push(ended);
        left.push(socket);
      },
    },
    (url, subprotocol) => {
      const made = new FakeSocket(url, subprotocol);
      sockets.push(made);
      return made;
    },
    () => 0,
  );
  const socket = (index: number): FakeSocket => {
    const found = sockets[index];
    if (!found) throw new Error(`there are only ${sockets.length} sockets`);
    return found;
  };
  socket(0).open();
  void signalling.request("join", { channelId: "lobby", username: "Ada" });
  ok(socket(0), 1);
  signalling.startSession(SESSION);
  return { signalling, sockets, socket, events, ends, left, states, resuming };
}

const ok = (socket: FakeSocket, id: number, data: object = {}) => socket.say({ id, type: "ok", data });
const resume = (socket: FakeSocket, more: object = {}) =>
  ok(socket, 0, { lost: false, lastRequest: 1, lastEvent: 0, epoch: 1, ...more });
const refuse = (socket: FakeSocket, id: number, code: string) => socket.say({ id, type: "error", data: { code, message: "no" } });
const ids = (socket: FakeSocket) => socket.sent.map(({ id }: Request) => id);

describe("a WebSocket that breaks", () => {
  it("is followed by another one that resumes the session", async () => {
    const { signalling, socket, states, resuming, ends } = inSession();
    socket(0).say({ seq: 1, type: "active_speakers", data: { userIds: [] } });
    socket(0).lose(1006);
    await vi.advanceTimersByTimeAsync(0);
    socket(1).open();
    const data = { sessionId: "s1", sessionSecret: "secret", lastEvent: 1, lastAnswer: 1 };
    expect(socket(1).sent).toEqual([{ id: 0, type: "resume_session", data }]);
    resume(socket(1));
    expect(states).toMatchObject([{ lost: false }]);
    expect(resuming).toEqual([true, false]);
    void signalling.request("leave", {});
    expect(socket(1).types()).toEqual(["resume_session", "leave"]);
    expect(ends).toEqual([]);
  });

  it("is not resumed if the gateway said why it closed", () => {
    for (const code of [1001, 4403, 4409, 4500]) {
      const { socket, sockets, ends } = inSession();
      socket(0).lose(code);
      expect(ends).toMatchObject([{ code }]);
      expect(sockets).toHaveLength(1);
    }
  });

  it("is not resumed after `closing`, even if the close frame got lost", () => {
    const { socket, sockets, ends } = inSession();
    socket(0).tell("closing", { reason: "replaced", code: 4409 });
    socket(0).lose(1006);
    expect(ends).toMatchObject([{ code: 4409 }]);
    expect(sockets).toHaveLength(1);
  });

  it("before the session began ends the connection", () => {
    const ends: Ended[] = [];
    const made = new FakeSocket("", "");
    new Signalling("", { opened: () => undefined, event: () => undefined, ended: (ended) => ends.push(ended) }, () => made);
    made.open();
    made.lose(1006);
    expect(ends).toEqual([{ code: 1006, reason: "" }]);
  });
});

describe("requests and answers across two WebSockets", () => {
  it("are sent again only if the gateway did not get them, with their old ids", async () => {
    const { signalling, socket } = inSession();
    const got = signalling.request("pause", { consumerId: "a" });
    const lost = signalling.request("pause", { consumerId: "b" });
    socket(0).lose(1006);
    const waiting = signalling.request("pause", { consumerId: "c" });
    socket(1).open();
    resume(socket(1), { lastRequest: 2 });
    expect(ids(socket(1))).toEqual([0, 3, 4]);
    // The gateway sends the lost answer again by itself.
    for (const id of [2, 3, 4]) ok(socket(1), id);
    expect(await Promise.all([got, lost, waiting])).toEqual([{}, {}, {}]);
  });

  it("are taken once, although both WebSockets bring them", async () => {
    const { signalling, socket, events } = inSession();
    const answer = signalling.request("message", { data: 1 });
    const event = (seq: number) => ({ seq, type: "message", data: { from: "ada", data: seq } });
    signalling.networkChanged();
    socket(1).open();
    socket(0).say(event(1));
    socket(0).say({ id: 2, type: "ok", data: { delivered: 1 } });
    resume(socket(1), { lastRequest: 2 });
    socket(1).say({ id: 2, type: "ok", data: { delivered: 9 } });
    socket(1).say(event(1));
    socket(1).say(event(2));
    expect(await answer).toEqual({ delivered: 1 });
    expect(events.map(({ data }) => (data as { data: number }).data)).toEqual([1, 2]);
  });

  it("that the gateway could not keep fail, unless they would have been empty", async () => {
    const { signalling, socket, states } = inSession();
    const empty = signalling.request("pause", { consumerId: "a" });
    const full = signalling.request("restart_ice", { transportId: "a" });
    const outcome = expect(full).rejects.toBeInstanceOf(AnswerLost);
    const later = signalling.request("pause", { consumerId: "b" });
    socket(0).lose(1006);
    socket(1).open();
    resume(socket(1), { lost: true, lastRequest: 3, lastEvent: 7 });
    expect(await empty).toEqual({});
    await outcome;
    expect(ids(socket(1))).toEqual([0, 4]);
    ok(socket(1), 4);
    expect(await later).toEqual({});
    expect(states).toMatchObject([{ lost: true }]);
  });

  it("go on after a lost state with the event after it", () => {
    const { socket, events } = inSession();
    socket(0).lose(1006);
    socket(1).open();
    resume(socket(1), { lost: true, lastEvent: 7 });
    socket(1).say({ seq: 8, type: "active_speakers", data: { userIds: ["ada"] } });
    expect(events).toHaveLength(1);
    socket(1).lose(1006);
    socket(2).open();
    expect(socket(2).asked("resume_session")).toMatchObject([{ lastEvent: 8 }]);
  });
});

describe("another network", () => {
  it("brings another WebSocket at once, and leaves the old one open until the gateway has resumed", () => {
    const { signalling, socket } = inSession();
    signalling.networkChanged();
    socket(1).open();
    expect(socket(0).closedWith).toBeUndefined();
    resume(socket(1));
    expect(socket(0).closedWith).toBe(1000);
    expect(socket(0).onclose).toBeNull();
  });

  it("is as if nothing happened, if the old WebSocket breaks while the new one connects", () => {
    const { signalling, socket, sockets, ends } = inSession();
    signalling.networkChanged();
    socket(0).lose(1006);
    expect(sockets).toHaveLength(2);
    socket(1).open();
    resume(socket(1));
    expect(ends).toEqual([]);
  });

  it("takes the place of an attempt that still connects", () => {
    const { signalling, socket, sockets } = inSession();
    signalling.networkChanged();
    signalling.networkChanged();
    expect(sockets).toHaveLength(3);
    expect(socket(1).closedWith).toBe(1000);
    socket(2).open();
    resume(socket(2));
  });
});

describe("an attempt", () => {
  it("that does not connect makes room for the next one", async () => {
    const { signalling, socket, sockets } = inSession();
    signalling.networkChanged();
    await vi.advanceTimersByTimeAsync(500);
    expect(sockets).toHaveLength(3);
    expect(socket(1).closedWith).toBe(1000);
  });

  it("that has asked to resume is never closed, because the gateway may have taken it", async () => {
    const { signalling, socket, states } = inSession();
    signalling.networkChanged();
    socket(1).open();
    await vi.advanceTimersByTimeAsync(500);
    socket(2).open();
    expect(socket(1).closedWith).toBeUndefined();
    resume(socket(2));
    expect(socket(1).closedWith).toBeUndefined();
    // The gateway got the older one later, so that is the newest for the gateway.
    resume(socket(1));
    expect(states).toHaveLength(2);
    expect(socket(2).closedWith).toBe(1000);
    void signalling.request("leave", {});
    expect(socket(1).types().at(-1)).toBe("leave");
  });

  it("that the gateway refuses for a moment is repeated", async () => {
    const { socket, sockets, ends } = inSession();
    socket(0).lose(1006);
    socket(1).open();
    refuse(socket(1), 0, "rate_limited");
    await vi.advanceTimersByTimeAsync(299);
    expect(sockets).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(sockets).toHaveLength(3);
    expect(ends).toEqual([]);
  });

  it("for a session that is over leaves its WebSocket open for joining again", async () => {
    const { signalling, socket, ends, left } = inSession();
    const outcome = expect(signalling.request("leave", {})).rejects.toBeInstanceOf(ConnectionEnded);
    socket(0).lose(1006);
    socket(1).open();
    refuse(socket(1), 0, "not_found");
    await outcome;
    expect(ends).toMatchObject([{ code: 1006 }]);
    expect(left).toEqual([socket(1)]);
    expect(socket(1).closedWith).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("follows the other until the session must be over", async () => {
    const { socket, sockets, ends, resuming } = inSession();
    socket(0).lose(1006);
    for (let time = 0; time < 19_900; time += 100) {
      sockets.at(-1)?.lose(1006);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(ends).toEqual([]);
    expect(sockets.length).toBeGreaterThan(8);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(ends).toEqual([{ code: 1006, reason: "the gateway did not answer" }]);
    expect(resuming.at(-1)).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is closed with the others when the person leaves", () => {
    const { signalling, socket, sockets } = inSession();
    signalling.networkChanged();
    socket(1).open();
    signalling.close();
    expect(sockets.map(({ closedWith }) => closedWith)).toEqual([1000, 1000]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("pings", () => {
  it("come at every interval, and acknowledge what came", async () => {
    const { socket } = inSession();
    socket(0).say({ seq: 1, type: "active_speakers", data: { userIds: [] } });
    await vi.advanceTimersByTimeAsync(5_000);
    ok(socket(0), 2);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(socket(0).asked("ping")).toEqual([
      { lastEvent: 1, lastAnswer: 1 },
      { lastEvent: 1, lastAnswer: 2 },
    ]);
  });

  it("come earlier after many bytes", () => {
    const { socket } = inSession();
    const event = (seq: number) => ({ seq, type: "message", data: { from: "ada", data: "x".repeat(40_000) } });
    for (let seq = 1; seq <= 3; seq += 1) socket(0).say(event(seq));
    expect(socket(0).asked("ping")).toEqual([]);
    socket(0).say(event(4));
    expect(socket(0).asked("ping")).toEqual([{ lastEvent: 4, lastAnswer: 1 }]);
  });

  it("do not come earlier after many changes of a large list", () => {
    const { socket } = inSession();
    const list = Array.from({ length: 100 }, (_, number) => participant(`user${number}`, ["microphone", "camera"]));
    const data = { type: "user_updated", participant: list[0], participants: list };
    for (let seq = 1; seq <= 100; seq += 1) socket(0).say({ seq, type: "voice_state", data });
    expect(socket(0).asked("ping")).toEqual([]);
    for (let seq = 101; seq <= 128; seq += 1) socket(0).say({ seq, type: "voice_state", data });
    expect(socket(0).asked("ping")).toHaveLength(1);
  });

  it("without an answer lead to another WebSocket, while the old one may still answer", async () => {
    const { sockets, socket } = inSession();
    await vi.advanceTimersByTimeAsync(7_000);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(500);
    expect(sockets).toHaveLength(2);
    expect(socket(0).closedWith).toBeUndefined();
  });

  it("are not needed to know that the gateway is there", async () => {
    const { sockets, socket } = inSession();
    await vi.advanceTimersByTimeAsync(5_001);
    socket(0).tell("active_speakers", { userIds: [] });
    await vi.advanceTimersByTimeAsync(4_000);
    expect(sockets).toHaveLength(1);
  });

  it("after a doubt lead to another WebSocket much earlier", async () => {
    const { signalling, sockets } = inSession();
    signalling.doubt();
    await vi.advanceTimersByTimeAsync(199);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(sockets).toHaveLength(2);
  });

  it("after a doubt lead to nothing if the gateway answers", async () => {
    const { signalling, sockets, socket } = inSession();
    signalling.doubt();
    signalling.doubt();
    await vi.advanceTimersByTimeAsync(100);
    ok(socket(0), 2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sockets).toHaveLength(1);
    expect(socket(0).asked("ping")).toHaveLength(1);
  });

  it("leave time for a slow network", async () => {
    const { signalling, sockets, socket } = inSession();
    signalling.doubt();
    await vi.advanceTimersByTimeAsync(190);
    ok(socket(0), 2);
    await vi.advanceTimersByTimeAsync(1_000);
    signalling.doubt();
    await vi.advanceTimersByTimeAsync(569);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(sockets).toHaveLength(2);
  });

  it("that an old WebSocket answers after all end attempts that do not succeed", async () => {
    const { socket, sockets, resuming, ends } = inSession();
    await vi.advanceTimersByTimeAsync(7_500);
    for (let time = 0; time < 14_000; time += 1_000) {
      socket(0).tell("active_speakers", { userIds: [] });
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(resuming).toEqual([true, false]);
    const { length } = sockets;
    ok(socket(0), 2);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(sockets).toHaveLength(length);
    expect(ends).toEqual([]);
  });
});
