import type { FakeHandler, types } from "mediasoup-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { FakeError, FakeGateway, fakeTimers, participant, settle } from "./fakes";
import { heardAndSeen, join, track } from "./joined";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

describe("a transport", () => {
  async function disconnected() {
    const joined = await join([participant("ada", ["camera"])]);
    const transport = await joined.session.inbound.transport.get();
    const report = (state: types.ConnectionState) => (transport.handler as FakeHandler).setConnectionState(state);
    report("connected");
    report("disconnected");
    return { ...joined, transport, report };
  }

  it("that is disconnected gets new ICE credentials at once, and is kept if they help", async () => {
    const { gateway, now, transport, report } = await disconnected();
    await settle();
    expect(gateway.socket.asked("restart_ice")).toEqual([{ transportId: transport.id }]);
    report("connecting");
    report("connected");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.socket.asked("restart_ice")).toHaveLength(1);
    expect(gateway.socket.asked("create_transport")).toHaveLength(1);
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
  });

  it("that stays disconnected shows it, and gets new ICE credentials again", async () => {
    const { gateway, now, report } = await disconnected();
    await vi.advanceTimersByTimeAsync(500);
    expect(now()?.reconnecting ?? false).toBe(false);
    await vi.advanceTimersByTimeAsync(2_500);
    report("failed");
    expect(now()).toMatchObject({ reconnecting: true, flowing: true });
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
    expect(gateway.socket.asked("restart_ice")).toHaveLength(2);
    report("connecting");
    report("connected");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(now()).toMatchObject({ reconnecting: false, flowing: true });
    expect(gateway.socket.asked("create_transport")).toHaveLength(1);
    expect(gateway.socket.asked("close")).toEqual([]);
  });

  it("whose network changed gets new ICE credentials and the session another WebSocket, at once and once", async () => {
    const { gateway, session, transport, report } = await disconnected();
    report("connected");
    session.networkChanged();
    await settle();
    expect(gateway.sockets).toHaveLength(2);
    expect(gateway.socket.asked("restart_ice")).toEqual([{ transportId: transport.id }]);
    await vi.advanceTimersByTimeAsync(60_000);
    // The old WebSocket had taken the same request, and the gateway no longer listened.
    const restarts = gateway.sockets.flatMap(({ sent }) => sent.filter(({ type }) => type === "restart_ice"));
    expect(new Set(restarts.map(({ id }) => id)).size).toBe(1);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("whose restarts fail within milliseconds is restarted once a second at most", async () => {
    const { gateway, report } = await disconnected();
    gateway.answers.restart_ice = () => {
      setTimeout(() => ["connecting" as const, "failed" as const].forEach(report), 3);
      return { iceParameters: { usernameFragment: "u", password: "p", iceLite: true } };
    };
    report("failed");
    await vi.advanceTimersByTimeAsync(10_000);
    const asked = gateway.socket.asked("restart_ice");
    expect(asked.length).toBeGreaterThan(2);
    expect(asked.length).toBeLessThan(11);
  });

  it("that the gateway has forgotten is replaced, not restarted", async () => {
    const { gateway, now, report } = await disconnected();
    gateway.answers.restart_ice = () => new FakeError("not_found") as never;
    report("failed");
    await vi.advanceTimersByTimeAsync(600);
    await settle();
    expect(gateway.socket.asked("create_transport")).toHaveLength(2);
    expect(gateway.socket.asked("close")).toEqual([]);
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
  });

  it("is closed and replaced after half a minute of restarts that do not help", async () => {
    const { gateway, now, transport, report } = await disconnected();
    report("connecting");
    await vi.advanceTimersByTimeAsync(29_000);
    expect(gateway.socket.asked("close")).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(gateway.socket.asked("restart_ice").length).toBeGreaterThan(5);
    expect(gateway.socket.asked("close")).toEqual([{ transportId: transport.id }]);
    expect(now()).toMatchObject({ flowing: false, media: [] });
    await vi.advanceTimersByTimeAsync(500);
    await settle();
    expect(gateway.socket.asked("create_transport")).toHaveLength(2);
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
  });

  it("that never worked is replaced when it fails, and again after ever longer waits", async () => {
    const { gateway, session } = await join([participant("ada", ["camera"])], new FakeGateway(), false);
    for (const wait of [500, 1_000, 2_000]) {
      const transport = await session.inbound.transport.get();
      (transport.handler as FakeHandler).setConnectionState("failed");
      const before = gateway.socket.asked("create_transport").length;
      await vi.advanceTimersByTimeAsync(wait - 1);
      expect(gateway.socket.asked("create_transport")).toHaveLength(before);
      await vi.advanceTimersByTimeAsync(1);
      await settle();
      expect(gateway.socket.asked("create_transport")).toHaveLength(before + 1);
    }
  });

  it("that works again reports that media flows", async () => {
    const { gateway, session, now } = await join([participant("ada", ["camera"])], new FakeGateway(), false);
    const first = await session.inbound.transport.get();
    gateway.socket.tell("transport_state", { transportId: first.id, state: "failed" });
    await vi.advanceTimersByTimeAsync(500);
    await settle();
    expect(now().flowing).toBe(false);
    const second = await session.inbound.transport.get();
    (second.handler as FakeHandler).setConnectionState("connected");
    expect(now().flowing).toBe(true);
  });
});

describe("a transport that was lost", () => {
  it("causes no notice once there is nothing to receive", async () => {
    const { gateway, session, now } = await join([participant("ada", ["camera"])]);
    const { id: transportId } = await session.inbound.transport.get();
    gateway.socket.tell("transport_state", { transportId, state: "closed" });
    gateway.tell("user_left", participant("ada", ["camera"]), [participant("me")]);
    expect(now()).toMatchObject({ flowing: true, participants: [{ userId: "me" }] });
  });

  it("causes no notice once there is nothing to send", async () => {
    const { gateway, session, now } = await join([]);
    session.outbound.send("camera", track("video"));
    await settle();
    const { id: transportId } = await session.outbound.transport.get();
    gateway.socket.tell("transport_state", { transportId, state: "closed" });
    expect(now().flowing).toBe(false);
    session.outbound.stop("camera");
    expect(now().flowing).toBe(true);
  });
});
