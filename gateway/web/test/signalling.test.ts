import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { GatewayEvent } from "../src/protocol";
import { ConnectionEnded, RequestError, Signalling, type Ended } from "../src/signalling";
import { FakeSocket, fakeTimers } from "./fakes";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

function connect() {
  const events: GatewayEvent[] = [];
  const ends: Ended[] = [];
  let opened = 0;
  const sockets: FakeSocket[] = [];
  const signalling = new Signalling(
    "ws://gateway/ws",
    { opened: () => (opened += 1), event: (event) => events.push(event), ended: (ended) => ends.push(ended) },
    (url, subprotocol) => {
      const made = new FakeSocket(url, subprotocol);
      sockets.push(made);
      return made;
    },
  );
  const [socket] = sockets;
  if (!socket) throw new Error("no socket was opened");
  return { signalling, socket, events, ends, opened: () => opened };
}

function connected() {
  const connection = connect();
  connection.socket.open();
  return connection;
}

describe("a request", () => {
  it("is sent in the envelope, over the protocol's WebSocket subprotocol", () => {
    const { signalling, socket } = connected();
    void signalling.request("create_transport", { direction: "send" });
    expect(socket.subprotocol).toBe("trio-sfu.v1");
    expect(socket.sent).toEqual([{ id: 1, type: "create_transport", data: { direction: "send" } }]);
  });

  it("is answered by the response with its id", async () => {
    const { signalling, socket } = connected();
    const first = signalling.request("restart_ice", { transportId: "a" });
    const second = signalling.request("message", { data: 1 });
    socket.say({ id: 2, type: "ok", data: { delivered: 3 } });
    socket.say({ id: 1, type: "ok", data: { iceParameters: { usernameFragment: "u", password: "p" } } });
    expect(await second).toEqual({ delivered: 3 });
    expect(await first).toEqual({ iceParameters: { usernameFragment: "u", password: "p" } });
  });

  it("that is refused rejects with the error's code and path", async () => {
    const { signalling, socket } = connected();
    const request = signalling.request("join", { channelId: "lobby", username: "" });
    socket.say({ id: 1, type: "error", data: { code: "invalid", message: "too short", path: "data.username" } });
    await expect(request).rejects.toThrow(RequestError);
    await expect(request).rejects.toMatchObject({ code: "invalid", message: "too short", path: "data.username" });
  });

  it("that is never answered ends the connection as broken", async () => {
    const { signalling, socket, ends } = connected();
    const request = signalling.request("leave", {}, 2_000);
    const outcome = expect(request).rejects.toThrow(ConnectionEnded);
    await vi.advanceTimersByTimeAsync(2_000);
    await outcome;
    expect(ends).toEqual([{ code: 1006, reason: "no answer to leave" }]);
    expect(socket.closedWith).toBe(1000);
  });

  it("fails if the connection ends first", async () => {
    const { signalling, socket } = connected();
    const request = signalling.request("leave", {});
    socket.lose(4500);
    await expect(request).rejects.toMatchObject({ name: "ConnectionEnded", ended: { code: 4500 } });
  });

  it("is not written to a closing socket, and fails when that is closed", async () => {
    const { signalling, socket } = connected();
    socket.readyState = 2;
    const answer = signalling.request("ping", {});
    socket.lose(1001);
    await expect(answer).rejects.toMatchObject({ ended: { code: 1001 } });
    expect(socket.sent).toEqual([]);
  });

  it("fails at once if the connection has ended before", async () => {
    const { signalling, socket } = connected();
    socket.lose(1006);
    await expect(signalling.request("leave", {})).rejects.toThrow(ConnectionEnded);
    expect(socket.sent).toEqual([]);
  });
});

describe("an incoming message", () => {
  it("goes to the handler if it has no id", () => {
    const { socket, events } = connected();
    socket.tell("active_speakers", { userIds: ["ada"] });
    expect(events).toEqual([{ type: "active_speakers", data: { userIds: ["ada"] } }]);
  });

  it("is ignored if it answers a request that was never made", () => {
    const { socket, events, ends } = connected();
    socket.say({ id: null, type: "error", data: { code: "malformed", message: "what?" } });
    socket.say({ id: 99, type: "ok", data: {} });
    expect(events).toEqual([]);
    expect(ends).toEqual([]);
  });

  it.each(["{", "7", "null", '"ok"'])("drops the connection as broken when it is no message: %s", (text) => {
    const { socket, ends } = connected();
    socket.say(text);
    expect(ends).toMatchObject([{ code: 1006 }]);
  });
});

describe("the end of a connection", () => {
  it("has the gateway's close code", () => {
    const { socket, ends } = connected();
    socket.lose(4408, "no join");
    expect(ends).toEqual([{ code: 4408, reason: "no join" }]);
  });

  it("carries the wait that `closing` asked for", () => {
    const { socket, ends } = connected();
    socket.tell("closing", { reason: "draining", code: 1001, retryAfterMs: 7_000 });
    socket.lose(1001);
    expect(ends).toEqual([{ code: 1001, reason: "draining", retryAfterMs: 7_000 }]);
  });

  it("has the code from `closing` if the close frame got lost", () => {
    const { socket, ends } = connected();
    socket.tell("closing", { reason: "replaced", code: 4409 });
    socket.lose(1006);
    expect(ends).toEqual([{ code: 4409, reason: "replaced" }]);
  });

  it("counts as broken if the close frame has no code", () => {
    const { socket, ends } = connected();
    socket.lose(1005);
    expect(ends).toEqual([{ code: 1006, reason: "" }]);
  });

  it("is reported once, and nothing after it", () => {
    const { signalling, socket, events, ends } = connected();
    const { onmessage, onclose } = socket;
    signalling.close();
    onclose?.call(socket as never, { code: 1000, reason: "" } as CloseEvent);
    expect(socket.onmessage).toBeNull();
    expect(onmessage).not.toBeNull();
    expect(events).toEqual([]);
    expect(ends).toEqual([{ code: 1000, reason: "left" }]);
  });

  it("is reported even if the reason is too long for a close frame", async () => {
    const { signalling, socket, ends } = connected();
    const answer = signalling.request("join", { channelId: "lobby", username: "Ada" });
    signalling.giveUp({ code: 4400, reason: "ü".repeat(1_000) });
    await expect(answer).rejects.toBeInstanceOf(ConnectionEnded);
    expect(ends).toMatchObject([{ code: 4400, reason: "ü".repeat(1_000) }]);
    expect(socket.closedWith).toBe(1000);
  });

  it("comes after ten seconds if the socket never opens", async () => {
    const { ends, opened } = connect();
    await vi.advanceTimersByTimeAsync(9_999);
    expect(ends).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(ends).toMatchObject([{ code: 1006 }]);
    expect(opened()).toBe(0);
  });
});
