import { FakeMediaStreamTrack } from "fake-mediastreamtrack";
import { testFakeParameters, type FakeHandler, type types } from "mediasoup-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Participant, Source } from "../src/protocol";
import { Session, type Presence, type SessionHandlers } from "../src/session";
import { Signalling, type Ended } from "../src/signalling";
import { createDevice, FakeError, FakeGateway, fakeTimers, participant, settle, Silence } from "./fakes";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

const track = (kind: "audio" | "video") => new FakeMediaStreamTrack({ kind }) as unknown as MediaStreamTrack;

/** The user "me" joins a channel that has these participants. */
async function join(others: Participant[], gateway = new FakeGateway(), connects = true) {
  gateway.participants = others;
  const shown: Presence[] = [];
  const ends: Ended[] = [];
  const refused: Source[] = [];
  const log: string[] = [];
  const handlers: SessionHandlers = {
    changed: (presence) => shown.push(presence),
    joined: ({ userId }) => log.push(`${userId} joined`),
    left: ({ userId }) => log.push(`${userId} left`),
    notSent: (source) => refused.push(source),
    unusable: (error) => log.push(`unusable: ${String(error)}`),
  };
  let session: Session | undefined;
  const opened = async (signalling: Signalling) => {
    const data = { channelId: "lobby", username: "Me" };
    session = await Session.join(signalling, await createDevice(connects), data, handlers);
  };
  const signalling: Signalling = new Signalling(
    "ws://gateway/ws",
    {
      opened: () => void opened(signalling),
      event: (event) => session?.handle(event),
      ended: (ended) => ends.push(ended),
    },
    gateway.open,
  );
  await settle();
  if (!session) throw new Error("not joined");
  const now = () => shown.at(-1) as Presence;
  return { gateway, session, signalling, shown, ends, refused, log, now };
}

const heardAndSeen = ({ media }: Presence) => media.map(({ userId, source }) => `${userId} ${source}`);
const present = ({ participants }: Presence) => participants.map(({ userId }) => userId);

describe("receiving", () => {
  it("consumes every producer in the list except the person's own", async () => {
    const { gateway, now } = await join([participant("ada", ["microphone", "camera"]), participant("bea")]);
    expect(heardAndSeen(now())).toEqual(["ada microphone", "ada camera"]);
    expect(gateway.socket.asked("consume")).toMatchObject([
      { producerId: "ada-microphone", paused: true },
      { producerId: "ada-camera", paused: true },
    ]);
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
    gateway.socket.tell("voice_state", { type: "user_joined", ...who, revision, count: 3 });
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

  it("does not ask twice if there is no common codec", async () => {
    const gateway = new FakeGateway();
    gateway.answers.consume = () => new FakeError("unsupported");
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

describe("a transport", () => {
  async function disconnected() {
    const joined = await join([participant("ada", ["camera"])]);
    const transport = await joined.session.inbound.transport.get();
    const report = (state: types.ConnectionState) => (transport.handler as FakeHandler).setConnectionState(state);
    report("connected");
    report("disconnected");
    return { ...joined, transport, report };
  }

  it("that is disconnected for 5 s is left alone", async () => {
    const { gateway, now, report } = await disconnected();
    await vi.advanceTimersByTimeAsync(5_000);
    report("connected");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.socket.types()).not.toContain("restart_ice");
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
  });

  it("that stays disconnected gets new ICE credentials, and is kept if they help", async () => {
    const { gateway, now, transport, report } = await disconnected();
    await vi.advanceTimersByTimeAsync(6_000);
    await settle();
    expect(gateway.socket.asked("restart_ice")).toEqual([{ transportId: transport.id }]);
    report("connecting");
    report("connected");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.socket.asked("create_transport")).toHaveLength(1);
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
  });

  it("that failed after it worked keeps its media, and gets new ICE credentials at once", async () => {
    const { gateway, now, transport, report } = await disconnected();
    await vi.advanceTimersByTimeAsync(5_000);
    report("failed");
    await settle();
    expect(now()).toMatchObject({ flowing: false });
    expect(heardAndSeen(now())).toEqual(["ada camera"]);
    expect(gateway.socket.asked("restart_ice")).toEqual([{ transportId: transport.id }]);
    report("connecting");
    report("connected");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(now()).toMatchObject({ flowing: true });
    expect(gateway.socket.asked("create_transport")).toHaveLength(1);
    expect(gateway.socket.asked("close")).toEqual([]);
  });

  it("that is disconnected gets new ICE credentials at once when the network is back", async () => {
    const { gateway, session, transport, report } = await disconnected();
    session.networkIsBack();
    await settle();
    expect(gateway.socket.asked("restart_ice")).toEqual([{ transportId: transport.id }]);
    report("connecting");
    report("connected");
    session.networkIsBack();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.socket.asked("restart_ice")).toHaveLength(1);
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
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.length).toBeLessThan(12);
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
    await vi.advanceTimersByTimeAsync(6_000);
    report("connecting");
    await vi.advanceTimersByTimeAsync(23_000);
    expect(gateway.socket.asked("close")).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(gateway.socket.asked("restart_ice")).toHaveLength(4);
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

describe("sending", () => {
  it("opens its transport with the first track, and names the track's source", async () => {
    const { gateway, session } = await join([]);
    session.outbound.send("camera", track("video"));
    await settle();
    expect(gateway.socket.types()).toEqual(["join", "create_transport", "connect_transport", "produce"]);
    expect(gateway.socket.asked("create_transport")).toEqual([{ direction: "send" }]);
    expect(gateway.socket.asked("produce")).toMatchObject([{ kind: "video", source: "camera", paused: false }]);
  });

  it("sends one encoding of the camera", async () => {
    const { gateway, session } = await join([]);
    session.outbound.send("camera", track("video"));
    await settle();
    expect(gateway.socket.asked("produce")[0]?.rtpParameters.encodings).toHaveLength(1);
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
