import { FakeHandler } from "mediasoup-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Session } from "../src/session";
import { FakeError, FakeGateway, fakeTimers, settle } from "./fakes";
import { FakeSender } from "./fakeSender";
import { join, track } from "./joined";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

describe("sending", () => {
  it("opens its transport with the first track, and names the track's source", async () => {
    const { gateway, session } = await join([]);
    session.outbound.send("camera", track("video"));
    await settle();
    expect(gateway.socket.types()).toEqual(["join", "create_transport", "connect_transport", "produce"]);
    expect(gateway.socket.asked("create_transport")).toEqual([{ direction: "send" }]);
    expect(gateway.socket.asked("produce")).toMatchObject([{ kind: "video", source: "camera", paused: false }]);
  });

  it("sends a camera in three sizes, and a screen in one", async () => {
    const { gateway, session } = await join([]);
    session.outbound.send("camera", track("video", { width: 1280, height: 720 }));
    session.outbound.send("screen", track("video", { width: 1920, height: 1080 }));
    await settle();
    const encodings = gateway.socket.asked("produce").map(({ rtpParameters }) => rtpParameters.encodings ?? []);
    expect(encodings.map(({ length }) => length)).toEqual([3, 1]);
    expect(encodings[0]?.map(({ scaleResolutionDownBy }) => scaleResolutionDownBy)).toEqual([4, 2, undefined]);
  });

  it("sends a camera in one size to a browser that refuses more", async () => {
    const { gateway, session, refused } = await join([]);
    const opening = session.outbound.transport.get();
    await settle();
    const handler = (await opening).handler as FakeHandler;
    const send = handler.send.bind(handler);
    handler.send = (options) => {
      if ((options.encodings?.length ?? 0) > 1) return Promise.reject(new TypeError("no simulcast"));
      return send(options);
    };
    session.outbound.send("camera", track("video", { width: 1280, height: 720 }));
    await settle();
    expect(gateway.socket.asked("produce").map(({ rtpParameters }) => rtpParameters.encodings)).toMatchObject([
      [{ maxBitrate: 2_000_000 }],
    ]);
    expect(refused).toEqual([]);
  });

  it("pauses and resumes the producer of a track that is muted and unmuted", async () => {
    const { gateway, session } = await join([]);
    const microphone = track("audio");
    session.outbound.send("microphone", microphone);
    await settle();
    session.outbound.send("microphone", microphone, true);
    await settle();
    session.outbound.send("microphone", microphone, false);
    await settle();
    expect(gateway.socket.types().slice(-3)).toEqual(["produce", "pause", "resume"]);
  });

  it("reports a producer that the gateway does not resume", async () => {
    const { gateway, session, refused } = await join([]);
    const microphone = track("audio");
    session.outbound.send("microphone", microphone, true);
    await settle();
    gateway.answers.resume = () => new FakeError("rate_limited");
    session.outbound.send("microphone", microphone, false);
    await settle();
    expect(refused).toEqual(["microphone"]);
  });

  it("starts paused if the track is muted already", async () => {
    const { gateway, session } = await join([]);
    session.outbound.send("microphone", track("audio"), true);
    await settle();
    expect(gateway.socket.asked("produce")).toMatchObject([{ source: "microphone", paused: true }]);
  });

  it("closes the producer of a stopped source, and leaves the track running", async () => {
    const { gateway, session } = await join([]);
    const camera = track("video");
    session.outbound.send("camera", camera);
    await settle();
    session.outbound.stop("camera");
    await settle();
    expect(gateway.socket.asked("close")).toEqual([{ producerId: expect.stringContaining("own-") }]);
    expect(camera.readyState).toBe("live");
  });

  it("ends as the last call says, even if calls come faster than answers", async () => {
    const { gateway, session } = await join([]);
    const [first, last] = [track("video"), track("video")];
    const sent: unknown[] = [];
    const opening = session.outbound.transport.get();
    await settle();
    (await opening).observer.on("newproducer", (producer) => sent.push(producer.track));
    session.outbound.send("camera", first);
    session.outbound.stop("camera");
    session.outbound.send("camera", last);
    session.outbound.stop("camera");
    session.outbound.send("camera", last);
    await settle();
    expect(gateway.socket.asked("produce")).toHaveLength(1);
    expect(sent).toEqual([last]);
  });

  it("sends everything again over another transport after the gateway has closed the first", async () => {
    const { gateway, session } = await join([]);
    session.outbound.send("microphone", track("audio"));
    session.outbound.send("camera", track("video"));
    await settle();
    const { transportId } = gateway.socket.asked("produce")[0] ?? { transportId: "" };
    gateway.socket.tell("transport_state", { transportId, state: "failed" });
    await vi.advanceTimersByTimeAsync(500);
    await settle();
    expect(gateway.socket.asked("produce").map(({ source }) => source)).toEqual([
      ...["microphone", "camera"],
      ...["microphone", "camera"],
    ]);
  });

  it("reports a refusal by the gateway, and does not try again", async () => {
    const gateway = new FakeGateway();
    gateway.answers.produce = () => new FakeError("unsupported");
    const { session, refused, ends } = await join([], gateway);
    session.outbound.send("camera", track("video"));
    await settle();
    expect(refused).toEqual(["camera"]);
    expect(gateway.socket.asked("produce")).toHaveLength(1);
    expect(ends).toEqual([]);
  });

  it("does not send a refused camera again in one size", async () => {
    const gateway = new FakeGateway();
    gateway.answers.produce = () => new FakeError("limit_exceeded");
    const { session, refused } = await join([], gateway);
    session.outbound.send("camera", track("video", { width: 1280, height: 720 }));
    await settle();
    expect(refused).toEqual(["camera"]);
    expect(gateway.socket.asked("produce")).toHaveLength(1);
  });

  it("does not send a track that was stopped while the transport opened", async () => {
    const { gateway, session } = await join([]);
    session.outbound.send("camera", track("video"));
    // The request is sent but not yet answered, since the fake gateway answers one task later.
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(gateway.socket.types().at(-1)).toBe("create_transport");
    session.outbound.stop("camera");
    await settle();
    expect(gateway.socket.asked("produce")).toEqual([]);
  });

  it("does not send a track that has ended before its turn", async () => {
    const { gateway, session, refused } = await join([]);
    const camera = track("video");
    session.outbound.send("camera", camera);
    camera.stop();
    await settle();
    expect(gateway.socket.asked("produce")).toEqual([]);
    expect(refused).toEqual([]);
  });
});

describe("the encodings of a camera", () => {
  /** The camera's producer is "camera-1". */
  async function sendingCamera(whileProducing: (gateway: FakeGateway) => void = () => undefined) {
    const gateway = new FakeGateway();
    gateway.answers.produce = () => {
      whileProducing(gateway);
      return { producerId: "camera-1" };
    };
    const joined = await join([], gateway);
    const sender = await withSender(joined.session);
    joined.session.outbound.send("camera", track("video", { width: 640, height: 360 }));
    await settle();
    const want = (...active: boolean[]) => gateway.socket.tell("producer_layers", { producerId: "camera-1", active });
    return { ...joined, sender, want };
  }

  it("are off while nobody watches them, and the newest wish counts", async () => {
    const { sender, want } = await sendingCamera();
    want(true, false);
    await settle();
    expect(sender.active).toEqual([true, false]);
    want(false, false);
    want(true, true);
    await settle();
    expect(sender.active).toEqual([true, true]);
  });

  it("are off from the beginning if the gateway says so before the browser has made them", async () => {
    const tell = (gateway: FakeGateway) => gateway.socket.tell("producer_layers", { producerId: "camera-1", active: [false, false] });
    const { sender } = await sendingCamera(tell);
    expect(sender.active).toEqual([false, false]);
  });

  it("stay off when the answer to a later negotiation wants all", async () => {
    const answers: unknown[] = [];
    const sender = new FakeSender("r0", "r1");
    sender.encodings[1] = { rid: "r1", active: false };
    const peer = {
      getTransceivers: () => [{ mid: "0", sender }],
      setRemoteDescription: async ({ sdp }: RTCSessionDescriptionInit) => void answers.push(sdp),
    };
    Object.defineProperty(FakeHandler.prototype, "_pc", { value: peer, configurable: true });
    try {
      await sendingCamera();
    } finally {
      Reflect.deleteProperty(FakeHandler.prototype, "_pc");
    }
    await peer.setRemoteDescription({ type: "answer", sdp: "m=video 7\r\na=mid:0\r\na=simulcast:recv r0;r1\r\n" });
    expect(answers).toEqual(["m=video 7\r\na=mid:0\r\na=simulcast:recv r0;~r1\r\n"]);
  });

  it("all go on if the browser refuses to switch", async () => {
    const { gateway, session, sender, refused, want } = await sendingCamera();
    sender.refuses = true;
    want(true, false);
    await settle();
    expect(sender.active).toEqual([true, true]);
    expect(refused).toEqual([]);
    session.outbound.stop("camera");
    await settle();
    expect(gateway.socket.asked("close")).toEqual([{ producerId: "camera-1" }]);
  });
});

/** Let the fake browser give its producers this sender. */
async function withSender(session: Session): Promise<FakeSender> {
  const sender = new FakeSender("r0", "r1");
  const opening = session.outbound.transport.get();
  await settle();
  const fake = (await opening).handler as FakeHandler;
  const send = fake.send.bind(fake);
  fake.send = async (options) => ({ ...(await send(options)), rtpSender: sender as unknown as RTCRtpSender });
  return sender;
}
