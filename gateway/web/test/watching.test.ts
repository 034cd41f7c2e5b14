import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { FakeError, FakeGateway, fakeTimers, participant, settle } from "./fakes";
import { heardAndSeen, join } from "./joined";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

/** The SSRC of every video that the fake gateway sends. */
const VIDEO_SSRC = 99991111;
const SMALL = { width: 240, height: 135, isPinned: false };

describe("watching", () => {
  async function watching() {
    const joined = await join([participant("ada", ["microphone", "camera"])], simulcasting());
    const requests = () =>
      joined.gateway.socket.sent
        .filter(({ type }) => type === "pause" || type === "resume" || type === "set_layers")
        .map(({ type, data }) => `${type} ${nameOf((data as { consumerId: string }).consumerId)}`);
    return { ...joined, requests };
  }

  it("asks for the layers of the tile before the video begins", async () => {
    const gateway = simulcasting();
    gateway.participants = [participant("ada")];
    const { views, session } = await join([participant("ada")], gateway);
    views.set("ada", "camera", SMALL);
    const seen = participant("ada", ["camera"]);
    gateway.tell("user_updated", seen, [seen, participant("me")]);
    await settle();
    expect(gateway.socket.types().slice(-2)).toEqual(["set_layers", "resume"]);
    expect(gateway.socket.asked("set_layers")).toMatchObject([{ spatial: 0, temporal: 2 }]);
    session.close();
  });

  it("pauses a hidden video, never the sound, and resumes it at once", async () => {
    const { views, requests, session } = await watching();
    const videos = () => session.inbound.streams(new Map([[VIDEO_SSRC, 5]])).map(({ producerId }) => producerId);
    expect(requests()).toEqual(["resume ada-microphone", "resume ada-camera"]);
    expect(videos()).toEqual(["ada-camera"]);
    views.set("ada", "camera", "hidden");
    views.set("ada", "microphone", "hidden");
    await vi.advanceTimersByTimeAsync(1_900);
    expect(requests()).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(200);
    expect(requests().slice(2)).toEqual(["pause ada-camera"]);
    // Nothing comes, as was wished, so nobody is in trouble.
    expect(videos()).toEqual([]);
    views.set("ada", "camera", SMALL);
    expect(requests().slice(3)).toEqual(["set_layers ada-camera", "resume ada-camera"]);
  });

  it("follows the size of the tile once it has settled", async () => {
    const { views, gateway } = await watching();
    views.set("ada", "camera", { ...SMALL, width: 600, height: 340 });
    views.set("ada", "camera", SMALL);
    await vi.advanceTimersByTimeAsync(400);
    expect(gateway.socket.asked("set_layers")).toMatchObject([{ spatial: 0, temporal: 2 }]);
  });

  it("lets a pinned video have its bandwidth first", async () => {
    const { views, gateway } = await watching();
    views.set("ada", "camera", { ...SMALL, width: 1280, height: 720, isPinned: true });
    expect(gateway.socket.asked("set_priority")).toMatchObject([{ priority: 255 }]);
  });

  it("keeps a pinned video if the gateway refuses the priority", async () => {
    const { views, gateway, now } = await watching();
    gateway.answers.set_priority = () => new FakeError("rate_limited");
    views.set("ada", "camera", { ...SMALL, width: 1280, height: 720, isPinned: true });
    await settle();
    expect(heardAndSeen(now())).toEqual(["ada microphone", "ada camera"]);
    expect(gateway.socket.asked("consume")).toHaveLength(2);
  });

  it("shows which videos the gateway has paused, and does not take them for stalled", async () => {
    const { gateway, session, now } = await watching();
    const consumerId = gateway.socket.asked("resume").at(-1)?.consumerId as string;
    const update = (starved: boolean) =>
      gateway.socket.tell("consumer_updated", { consumerId, producerPaused: false, layers: null, starved });
    const starved = () => now().media.filter(({ isStarved }) => isStarved).map(({ producerId }) => producerId);
    update(true);
    expect(starved()).toEqual(["ada-camera"]);
    expect(session.inbound.streams(new Map([[VIDEO_SSRC, 5]]))).toEqual([]);
    update(false);
    expect(starved()).toEqual([]);
    expect(session.inbound.streams(new Map([[VIDEO_SSRC, 5]]))).toHaveLength(1);
  });

  it("takes nobody for stalled while a moderator has deafened this person", async () => {
    const { gateway, session } = await watching();
    const ada = participant("ada", ["microphone", "camera"]);
    const deafen = (deafened?: true) => {
      const me = { ...participant("me"), ...(deafened && { deafened }) };
      gateway.tell("user_updated", me, [ada, me]);
    };
    deafen(true);
    expect(session.inbound.streams(new Map([[VIDEO_SSRC, 5]]))).toEqual([]);
    deafen();
    expect(session.inbound.streams(new Map([[VIDEO_SSRC, 5]]))).toHaveLength(1);
  });

  it("shows after lost events which videos the gateway has paused", async () => {
    const { gateway, session, now } = await watching();
    const { transportId } = gateway.socket.asked("consume")[0] ?? { transportId: "" };
    const entry = (consumerId = "", source: "microphone" | "camera", starved: boolean) => {
      const kind = source === "camera" ? ("video" as const) : ("audio" as const);
      return { consumerId, producerId: `ada-${source}`, userId: "ada", kind, source, paused: false, producerPaused: false, starved };
    };
    const [voice, picture] = gateway.socket.asked("resume").map(({ consumerId }) => consumerId);
    session.resumed({
      ...{ lost: true, lastRequest: 9, lastEvent: 9, epoch: 1, revision: 7, producers: [] },
      participants: [participant("ada", ["microphone", "camera"]), participant("me")],
      transports: [{ transportId, direction: "receive", state: "connected" }],
      consumers: [entry(voice, "microphone", false), entry(picture, "camera", true)],
    });
    expect(now().media.map(({ isStarved }) => isStarved)).toEqual([false, true]);
  });

  it("forgets that a video was paused when it is consumed again", async () => {
    const { gateway, now } = await watching();
    const consumerId = gateway.socket.asked("resume").at(-1)?.consumerId as string;
    gateway.socket.tell("consumer_updated", { consumerId, producerPaused: false, layers: null, starved: true });
    gateway.socket.tell("consumer_closed", { consumerId, reason: "failed" });
    await vi.advanceTimersByTimeAsync(1_100);
    expect(now().media.map(({ isStarved }) => isStarved)).toEqual([false, false]);
  });

  it("does not take the late refusal of an older consumer for one of the new consumer", async () => {
    const { views, gateway } = await watching();
    gateway.answers.set_layers = () => new FakeError("not_found");
    views.set("ada", "camera", SMALL);
    await vi.advanceTimersByTimeAsync(299);
    const consumerId = gateway.socket.asked("resume").at(-1)?.consumerId as string;
    vi.advanceTimersByTime(1);
    expect(gateway.socket.types().at(-1)).toBe("set_layers");
    gateway.socket.tell("consumer_closed", { consumerId, reason: "failed" });
    await settle();
    delete gateway.answers.set_layers;
    await vi.advanceTimersByTimeAsync(1_100);
    expect(gateway.socket.asked("consume")).toHaveLength(3);
  });

  it("consumes a video again if the gateway refuses to resume it", async () => {
    const { views, gateway, now } = await watching();
    views.set("ada", "camera", "hidden");
    await vi.advanceTimersByTimeAsync(2_100);
    gateway.answers.resume = () => new FakeError("rate_limited");
    views.set("ada", "camera", SMALL);
    await settle();
    expect(heardAndSeen(now())).toEqual(["ada microphone"]);
    delete gateway.answers.resume;
    await vi.advanceTimersByTimeAsync(1_100);
    expect(heardAndSeen(now())).toEqual(["ada microphone", "ada camera"]);
  });

  it("asks for nothing any more after the session has ended", async () => {
    const { views, requests, session, signalling } = await watching();
    views.set("ada", "camera", "hidden");
    session.close();
    signalling.close();
    expect(vi.getTimerCount()).toBe(0);
    const looks = vi.spyOn(performance, "now");
    views.set("ada", "camera", SMALL);
    expect(looks).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(requests()).toHaveLength(2);
  });
});

/** A gateway that sends every video in three sizes. */
function simulcasting(): FakeGateway {
  const gateway = new FakeGateway();
  gateway.scalabilityMode = "L3T3";
  return gateway;
}

function nameOf(consumerId: string): string {
  return /^consumer-of-(.*)-\d+$/.exec(consumerId)?.[1] ?? consumerId;
}
