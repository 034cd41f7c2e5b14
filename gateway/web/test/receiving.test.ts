import { testFakeParameters, type FakeHandler } from "mediasoup-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { withLossReports } from "../src/inbound";
import type { Participant, RequestMap } from "../src/protocol";
import { FakeError, FakeGateway, fakeTimers, participant, settle, Silence } from "./fakes";
import { heardAndSeen, join, present } from "./joined";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

describe("receiving", () => {
  it("consumes every producer in the list except the person's own", async () => {
    const { gateway, now } = await join([participant("ada", ["microphone", "camera"]), participant("bea")]);
    expect(heardAndSeen(now())).toEqual(["ada microphone", "ada camera"]);
    expect(gateway.socket.asked("consume")).toMatchObject([
      { producerId: "ada-microphone", paused: true },
      { producerId: "ada-camera", paused: true },
    ]);
  });

  /** So many people with a microphone each. */
  const crowd = (size: number) => Array.from({ length: size }, (_, number) => participant(`user${number}`, ["microphone"]));

  it("asks for few streams one by one, for many in one request, and for more in several", async () => {
    const asked = async (others: Participant[]) => {
      const { gateway, now } = await join(others);
      expect(now().media).toHaveLength(others.length);
      return gateway.socket.sent.flatMap(({ type, data }) =>
        type === "consume" ? [1] : type === "consume_many" ? [(data as RequestMap["consume_many"]["data"]).producerIds.length] : [],
      );
    };
    expect(await asked(crowd(3))).toEqual([1, 1, 1]);
    expect(await asked(crowd(8))).toEqual([8]);
    expect(await asked(crowd(100))).toEqual([32, 32, 32, 4]);
  });

  it("receives the others if the gateway refuses one of many streams, and asks for that one again", async () => {
    const gateway = new FakeGateway();
    gateway.refused.add("user3-microphone");
    const { now } = await join(crowd(10), gateway);
    expect(heardAndSeen(now())).toHaveLength(9);
    expect(heardAndSeen(now())).not.toContain("user3 microphone");
    await vi.advanceTimersByTimeAsync(1_100);
    expect(heardAndSeen(now())).toContain("user3 microphone");
  });

  it("asks for all streams again if the one request for them fails", async () => {
    const gateway = new FakeGateway();
    gateway.answers.consume_many = () => new FakeError("internal");
    const { now } = await join(crowd(10), gateway);
    expect(heardAndSeen(now())).toEqual([]);
    delete gateway.answers.consume_many;
    await vi.advanceTimersByTimeAsync(1_100);
    expect(heardAndSeen(now())).toHaveLength(10);
  });

  it("opens its transport when there is something to receive, and no sooner", async () => {
    const { gateway } = await join([participant("ada")]);
    expect(gateway.socket.types()).toEqual(["join"]);
    const talking = participant("ada", ["microphone"]);
    gateway.tell("user_updated", talking, [talking, participant("me")]);
    await settle();
    expect(gateway.socket.asked("create_transport")).toMatchObject([{ direction: "receive" }]);
  });

  it("sends its capabilities once, with the transport", async () => {
    const { gateway } = await join([participant("ada", ["microphone", "camera"])]);
    expect(gateway.socket.asked("create_transport")[0]).toHaveProperty("rtpCapabilities.codecs");
    for (const consume of gateway.socket.asked("consume")) expect(consume).not.toHaveProperty("rtpCapabilities");
  });

  it("resumes a consumer only after the browser has made it", async () => {
    const { gateway } = await join([participant("ada", ["camera"])]);
    const types = gateway.socket.types();
    expect(types).toEqual(["join", "create_transport", "consume", "connect_transport", "resume"]);
    expect(gateway.socket.asked("resume")).toEqual([{ consumerId: expect.stringContaining("consumer-of-ada-camera") }]);
  });

  it("resumes no consumer before the transport is connected, as an early key frame would be lost", async () => {
    const { gateway, session, now } = await join([participant("ada", ["microphone", "camera"])], new FakeGateway(), false);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(heardAndSeen(now())).toEqual(["ada microphone", "ada camera"]);
    expect(gateway.socket.asked("resume")).toEqual([]);
    const transport = await session.inbound.transport.get();
    (transport.handler as FakeHandler).setConnectionState("connected");
    await settle();
    expect(gateway.socket.asked("resume")).toHaveLength(2);
  });

  it("does not resume a consumer whose producer went while the browser connected", async () => {
    const { gateway, session } = await join([participant("ada", ["camera"])], new FakeGateway(), false);
    gateway.tell("user_left", participant("ada"), [participant("me")]);
    const transport = await session.inbound.transport.get();
    (transport.handler as FakeHandler).setConnectionState("connected");
    await settle();
    expect(gateway.socket.asked("resume")).toEqual([]);
  });

  it("follows the list when somebody begins to send", async () => {
    const { gateway, now } = await join([participant("ada")]);
    const talking = participant("ada", ["microphone"]);
    gateway.tell("user_updated", talking, [talking, participant("me")]);
    await settle();
    expect(heardAndSeen(now())).toEqual(["ada microphone"]);
  });

  it("follows events without a list, as large channels send them", async () => {
    const { gateway, now } = await join([participant("ada")]);
    const bea = participant("bea", ["camera"]);
    gateway.participants = [...gateway.participants, bea];
    gateway.revision += 1;
    const { revision } = gateway;
    const who = { channelId: "lobby", userId: "bea", username: "bea", participant: bea };
    gateway.socket.tell("voice_state", { type: "user_joined", ...who, epoch: 1, revision, count: 3 });
    await settle();
    expect(present(now())).toEqual(["ada", "me", "bea"]);
    expect(heardAndSeen(now())).toEqual(["bea camera"]);
  });

  it("drops a stream that is no longer in the list, and keeps the others", async () => {
    const { gateway, now } = await join([participant("ada", ["microphone", "camera"])]);
    const camera = now().media[1]?.track;
    const talking = participant("ada", ["microphone"]);
    gateway.tell("user_updated", talking, [talking, participant("me")]);
    expect(heardAndSeen(now())).toEqual(["ada microphone"]);
    expect(camera?.readyState).toBe("ended");
    expect(now().media[0]?.track.readyState).toBe("live");
  });

  it("drops a consumer that the gateway closed before the list changes", async () => {
    const { gateway, now } = await join([participant("ada", ["camera"])]);
    const [resumed] = gateway.socket.asked("resume");
    const consumerId = resumed?.consumerId as string;
    gateway.socket.tell("consumer_closed", { consumerId, reason: "producer_closed" });
    expect(heardAndSeen(now())).toEqual([]);
  });

  it("keeps no consumer if the gateway closes it while the browser is making it", async () => {
    const gateway = new FakeGateway();
    // The browser makes no consumer before `connect_transport` is answered.
    gateway.answers.connect_transport = () => new Silence();
    const { now } = await join([participant("ada", ["camera"])], gateway);
    const consumerId = "consumer-of-ada-camera-2";
    expect(gateway.socket.types().at(-1)).toBe("connect_transport");
    gateway.socket.tell("consumer_closed", { consumerId, reason: "producer_closed" });
    const connect = gateway.socket.sent.at(-1);
    gateway.socket.say({ id: connect?.id, type: "ok", data: {} });
    await settle();
    expect(heardAndSeen(now())).toEqual([]);
    expect(gateway.socket.asked("resume")).toEqual([]);
  });

  it("keeps no consumer if its user leaves before `consume` is answered", async () => {
    const gateway = new FakeGateway();
    gateway.answers.consume = () => new Silence();
    const { now, log } = await join([participant("ada", ["camera"])], gateway);
    const pending = gateway.socket.sent.find(({ type }) => type === "consume");
    gateway.tell("user_left", participant("ada", ["camera"]), [participant("me")]);
    gateway.socket.say({ id: pending?.id, type: "error", data: { code: "not_found", message: "gone" } });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(gateway.socket.asked("consume")).toHaveLength(1);
    expect(present(now())).toEqual(["me"]);
    expect(log).toEqual(["ada left"]);
  });

  it("ignores the answer to a `consume` that came too late", async () => {
    const gateway = new FakeGateway();
    gateway.answers.consume = () => new Silence();
    await join([participant("ada", ["camera"])], gateway);
    const pending = gateway.socket.sent.find(({ type }) => type === "consume");
    gateway.tell("user_left", participant("ada", ["camera"]), [participant("me")]);
    const { rtpParameters } = testFakeParameters.generateConsumerRemoteParameters({ codecMimeType: "video/VP8" });
    gateway.socket.say({ id: pending?.id, type: "ok", data: { consumerId: "late", kind: "video", rtpParameters } });
    await settle();
    expect(gateway.socket.types()).not.toContain("connect_transport");
  });

  it("consumes a producer again if its consumer failed at the gateway", async () => {
    const { gateway, now } = await join([participant("ada", ["camera"])]);
    const [resumed] = gateway.socket.asked("resume");
    gateway.socket.tell("consumer_closed", { consumerId: resumed?.consumerId as string, reason: "failed" });
    expect(heardAndSeen(now())).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    await settle();
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
  });

  it("stops asking after several refusals", async () => {
    const gateway = new FakeGateway();
    gateway.answers.consume = () => new FakeError("internal");
    await join([participant("ada", ["camera"])], gateway);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.socket.asked("consume")).toHaveLength(3);
  });

  it("allows all tries again after a transport has failed", async () => {
    const gateway = new FakeGateway();
    const { now } = await join([participant("ada", ["camera"])], gateway);
    const fail = () => {
      const { consumerId } = gateway.socket.asked("resume").at(-1) as { consumerId: string };
      gateway.socket.tell("consumer_closed", { consumerId, reason: "failed" });
    };
    for (let time = 0; time < 3; time += 1) {
      const { transportId } = gateway.socket.asked("consume").at(-1) as { transportId: string };
      fail();
      gateway.socket.tell("transport_state", { transportId, state: "failed" });
      await vi.advanceTimersByTimeAsync(5_000);
      expect(heardAndSeen(now())).toEqual(["ada camera"]);
    }
    fail();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
  });

  it.each(["unsupported", "forbidden"])("does not ask twice after the answer %s", async (code) => {
    const gateway = new FakeGateway();
    gateway.answers.consume = () => new FakeError(code);
    await join([participant("ada", ["camera"])], gateway);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.socket.asked("consume")).toHaveLength(1);
  });

  it("opens another transport and consumes everything again after the gateway has closed it", async () => {
    const { gateway, now } = await join([participant("ada", ["microphone", "camera"])]);
    const { transportId } = gateway.socket.asked("consume")[0] ?? { transportId: "" };
    gateway.socket.tell("transport_state", { transportId, state: "closed" });
    expect(heardAndSeen(now())).toEqual([]);
    expect(now().flowing).toBe(false);
    await vi.advanceTimersByTimeAsync(500);
    await settle();
    expect(heardAndSeen(now())).toEqual(["ada microphone", "ada camera"]);
    expect(gateway.socket.asked("create_transport")).toHaveLength(2);
    // The gateway has closed it already, so the client must not.
    expect(gateway.socket.asked("close")).toEqual([]);
  });
});

describe("reports of lost sound", () => {
  const opus = { mimeType: "audio/opus", payloadType: 100, clockRate: 48000, channels: 2 };
  const red = { mimeType: "audio/red", payloadType: 63, clockRate: 48000, channels: 2 };
  const nack = { type: "nack" };
  const congestion = { type: "transport-cc" };

  it("come at once where the gateway can send sound as RED", () => {
    const plain = { ...opus, rtcpFeedback: [congestion] };
    const codecs = [{ ...opus, rtcpFeedback: [congestion, nack] }, red];
    expect(withLossReports("audio", { codecs: [plain, red] })).toEqual({ codecs });
    expect(withLossReports("audio", { codecs })).toEqual({ codecs });
    expect(plain.rtcpFeedback).toEqual([congestion]);
  });

  it("are not asked for where they change nothing", () => {
    for (const kind of ["audio", "video"] as const) {
      expect(withLossReports(kind, { codecs: [opus] })).toEqual({ codecs: [opus] });
    }
  });
});
