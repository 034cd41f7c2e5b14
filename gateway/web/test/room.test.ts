import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { EventMap } from "../src/protocol";
import { Room, UNSUPPORTED, type JoinOptions } from "../src/room";
import { FakeBrowser, FakeStream } from "./browser";
import { createDevice, FakeError, FakeGateway, fakeTimers, participant, settle, Silence } from "./fakes";

beforeEach(() => {
  fakeTimers();
  vi.stubGlobal("MediaStream", FakeStream);
});
afterEach(() => vi.useRealTimers());

const ADA: JoinOptions = { channelId: "lobby", username: "Ada", microphone: true, camera: true };

function setUp(gateway = new FakeGateway(), browser = new FakeBrowser(), device = createDevice) {
  const room = new Room({
    url: "ws://gateway/ws",
    browser,
    createDevice: device,
    openSocket: gateway.open,
    now: () => performance.now(),
    random: () => 0,
  });
  const present = () => room.getState().presence.participants.map(({ username }) => username);
  return { room, gateway, browser, present };
}

async function joined(gateway?: FakeGateway, browser?: FakeBrowser) {
  const set = setUp(gateway, browser);
  set.room.join(ADA);
  await settle();
  expect(set.room.getState().phase).toBe("joined");
  return set;
}

describe("joining", () => {
  it("shows the participants, and sends microphone and camera", async () => {
    const gateway = new FakeGateway();
    gateway.participants = [participant("bea")];
    const { present } = await joined(gateway);
    expect(present()).toEqual(["bea", "Ada"]);
    expect(gateway.socket.asked("join")).toMatchObject([{ channelId: "lobby", username: "Ada" }]);
    expect(gateway.socket.asked("produce").map(({ source }) => source)).toEqual(["microphone", "camera"]);
  });

  it("does not wait for the person to allow the camera", async () => {
    const browser = new FakeBrowser();
    let allow: () => void = () => undefined;
    browser.held = new Promise((resolve) => (allow = resolve));
    const { room, gateway } = await joined(undefined, browser);
    expect(room.getState().local.camera.status).toBe("starting");
    allow();
    await settle();
    expect(gateway.socket.asked("produce").map(({ source }) => source)).toEqual(["microphone", "camera"]);
  });

  it("goes on without a camera if the person refuses it", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotAllowedError");
    const { room, gateway } = await joined(undefined, browser);
    expect(room.getState().local.camera).toEqual({ status: "off", trouble: "refused" });
    expect(gateway.socket.asked("produce")).toEqual([]);
  });

  it("ends if the gateway forbids it", async () => {
    const gateway = new FakeGateway();
    gateway.answers.join = () => new FakeError("forbidden");
    const { room, browser } = setUp(gateway);
    room.join(ADA);
    await settle();
    expect(room.getState()).toMatchObject({ phase: "ended", ended: { code: 4403, wasJoined: false } });
    expect(browser.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
    expect(gateway.socket.closedWith).toBe(1000);
  });

  it("is tried again later if the channel is full", async () => {
    const gateway = new FakeGateway();
    gateway.answers.join = () => new FakeError("limit_exceeded");
    const { room } = setUp(gateway);
    room.join(ADA);
    await settle();
    expect(room.getState()).toMatchObject({ phase: "waiting", ended: { code: 4429 } });
    delete gateway.answers.join;
    await vi.advanceTimersByTimeAsync(5_000);
    await settle();
    expect(room.getState().phase).toBe("joined");
  });

  it("ends if somebody else holds the user id", async () => {
    const gateway = new FakeGateway();
    gateway.answers.join = () => new FakeError("conflict");
    const { room } = setUp(gateway);
    room.join({ ...ADA, userId: "ada" });
    await settle();
    expect(room.getState()).toMatchObject({ phase: "ended", ended: { code: 4409, wasJoined: false } });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(gateway.sockets).toHaveLength(1);
  });

  it("ends in a browser that mediasoup-client does not support", async () => {
    const unknown = () => Promise.reject(Object.assign(new Error("device not supported"), { name: "UnsupportedError" }));
    const { room } = setUp(undefined, undefined, unknown);
    room.join(ADA);
    await settle();
    expect(room.getState()).toMatchObject({ phase: "ended", ended: { reason: UNSUPPORTED } });
  });
});

describe("a session that ends", () => {
  it("shows nobody else until the next list arrives", async () => {
    const gateway = new FakeGateway();
    gateway.participants = [participant("bea", ["camera"])];
    const { room, present } = await joined(gateway);
    gateway.socket.lose(4500);
    expect(present()).toEqual([]);
    expect(room.getState()).toMatchObject({ phase: "waiting", presence: { media: [] }, ended: { wasJoined: true } });
  });

  it("is followed by joining again as the same user, with the same camera track", async () => {
    const { room, gateway, browser } = await joined();
    gateway.socket.lose(4500);
    await vi.advanceTimersByTimeAsync(1_000);
    await settle();
    expect(gateway.sockets).toHaveLength(2);
    expect(gateway.socket.asked("join")).toMatchObject([{ channelId: "lobby", username: "Ada", userId: "me" }]);
    expect(gateway.socket.asked("produce").map(({ source }) => source)).toEqual(["microphone", "camera"]);
    expect(browser.asked).toHaveLength(1);
    expect(room.getState()).toMatchObject({ phase: "joined", ended: undefined });
  });

  it("keeps a muted microphone muted", async () => {
    const { room, gateway } = await joined();
    await room.local.setMicrophone(false);
    gateway.socket.lose(4500);
    await vi.advanceTimersByTimeAsync(1_000);
    await settle();
    expect(gateway.socket.asked("produce")).toMatchObject([{ source: "microphone", paused: true }, { paused: false }]);
  });

  it("is replaced after ever longer waits, and the time of the next attempt is shown", async () => {
    const { room, gateway } = await joined();
    gateway.isAway = true;
    gateway.socket.lose(4500);
    const waits: number[] = [];
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const wait = (room.getState().retryAt ?? 0) - performance.now();
      waits.push(wait);
      // The fake gateway answers the attempt one millisecond later.
      await vi.advanceTimersByTimeAsync(wait + 1);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000]);
  });

  it("starts again with the shortest wait after some time in the channel", async () => {
    const { room, gateway } = await joined();
    for (let time = 0; time < 3; time += 1) {
      await vi.advanceTimersByTimeAsync(10_000);
      gateway.socket.lose(4500);
      expect((room.getState().retryAt ?? 0) - performance.now()).toBe(1_000);
      await vi.advanceTimersByTimeAsync(1_000);
      await settle();
    }
  });

  it("waits longer each time if the gateway always drops the connection at once", async () => {
    const { room, gateway } = await joined();
    const waits: number[] = [];
    for (let time = 0; time < 3; time += 1) {
      gateway.socket.lose(4500);
      waits.push((room.getState().retryAt ?? 0) - performance.now());
      await vi.advanceTimersByTimeAsync(waits.at(-1) ?? 0);
      await settle();
    }
    expect(waits).toEqual([1_000, 2_000, 4_000]);
  });

  it("is replaced at once when the person asks for it", async () => {
    const { room, gateway } = await joined();
    gateway.socket.tell("closing", { reason: "draining", code: 1001, retryAfterMs: 20_000 });
    gateway.socket.lose(1001);
    expect((room.getState().retryAt ?? 0) - performance.now()).toBe(20_000);
    room.retryNow();
    await settle();
    expect(room.getState().phase).toBe("joined");
    await vi.advanceTimersByTimeAsync(30_000);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("is replaced soon when the gateway restarts, also if its successor does not answer at first", async () => {
    const { room, gateway } = await joined();
    gateway.socket.tell("closing", { reason: "restart", code: 1012, retryAfterMs: 400 });
    gateway.isAway = true;
    gateway.socket.lose(1012);
    expect((room.getState().retryAt ?? 0) - performance.now()).toBe(400);
    await vi.advanceTimersByTimeAsync(400);
    gateway.socket.lose(1006);
    expect((room.getState().retryAt ?? 0) - performance.now()).toBe(500);
    gateway.isAway = false;
    await vi.advanceTimersByTimeAsync(500);
    await settle();
    expect(room.getState().phase).toBe("joined");
  });

  it("is replaced at the address that the gateway names, and at its own if nobody answers there", async () => {
    const { room, gateway } = await joined();
    const own = gateway.socket.url;
    gateway.socket.tell("closing", { reason: "restart", code: 1012, retryAfterMs: 400, url: "ws://other/ws" });
    gateway.isAway = true;
    gateway.socket.lose(1012);
    await vi.advanceTimersByTimeAsync(400);
    expect(gateway.socket.url).toBe("ws://other/ws");
    gateway.isAway = false;
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(500);
    await settle();
    expect(gateway.socket.url).toBe(own);
    expect(room.getState().phase).toBe("joined");
  });

  it("is replaced at once when the network is back after a long time", async () => {
    const { room, gateway } = await joined();
    gateway.isAway = true;
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(room.getState()).toMatchObject({ phase: "waiting", ended: { code: 1006 } });
    gateway.isAway = false;
    room.networkChanged();
    await settle();
    expect(room.getState().phase).toBe("joined");
  });

  it("is replaced no sooner than the gateway asked, even when the network is back", async () => {
    const { room, gateway } = await joined();
    gateway.socket.tell("closing", { reason: "too many requests", code: 4429, retryAfterMs: 20_000 });
    gateway.socket.lose(4429);
    room.networkChanged();
    await vi.advanceTimersByTimeAsync(19_999);
    expect(gateway.sockets).toHaveLength(1);
  });

  it("brings a whole new list after a gap in the revisions", async () => {
    const gateway = new FakeGateway();
    gateway.participants = [participant("bea")];
    const { present } = await joined(gateway);
    gateway.revision += 3;
    gateway.tell("user_joined", participant("cleo"), [participant("bea"), participant("cleo")]);
    expect(present()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    await settle();
    expect(present()).toEqual(["bea", "cleo", "Ada"]);
  });
});

describe("a WebSocket that breaks", () => {
  it("costs nothing: the session, the list and the media live on", async () => {
    const gateway = new FakeGateway();
    gateway.participants = [participant("bea", ["camera"])];
    const { room, present } = await joined(gateway);
    gateway.socket.lose(1006);
    await settle();
    expect(gateway.sockets).toHaveLength(2);
    expect(gateway.socket.types()).toEqual(["resume_session"]);
    expect(present()).toEqual(["bea", "Ada"]);
    expect(room.getState()).toMatchObject({ phase: "joined", presence: { media: [{ userId: "bea" }], reconnecting: false } });
  });

  it("shows that the page is reconnecting while it takes longer", async () => {
    const { room, gateway, present } = await joined();
    gateway.isAway = true;
    gateway.socket.lose(1006);
    expect(room.getState().presence.reconnecting).toBe(false);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(room.getState()).toMatchObject({ phase: "joined", presence: { reconnecting: true } });
    expect(present()).toEqual(["Ada"]);
    gateway.isAway = false;
    await vi.advanceTimersByTimeAsync(2_500);
    expect(room.getState().presence.reconnecting).toBe(false);
  });

  it("is followed by joining again on the same new WebSocket, if the session is over", async () => {
    const { room, gateway, browser } = await joined();
    gateway.answers.resume_session = () => new FakeError("not_found");
    gateway.socket.lose(1006);
    await settle();
    expect(room.getState()).toMatchObject({ phase: "joined", ended: undefined });
    expect(gateway.sockets).toHaveLength(2);
    expect(gateway.socket.types().slice(0, 2)).toEqual(["resume_session", "join"]);
    expect(gateway.socket.asked("join")).toMatchObject([{ userId: "me" }]);
    expect(gateway.socket.asked("produce").map(({ source }) => source)).toEqual(["microphone", "camera"]);
    expect(browser.asked).toHaveLength(1);
  });

  it("is followed by joining again with the same secret, which opens the way to the page's own seat", async () => {
    const { gateway } = await joined();
    const [first] = gateway.socket.asked("join");
    expect(first?.sessionSecret).toMatch(/^[A-Za-z0-9_-]{22}$/);
    gateway.answers.resume_session = () => new FakeError("not_found");
    gateway.socket.lose(1006);
    await settle();
    expect(gateway.socket.asked("join")).toMatchObject([{ sessionSecret: first?.sessionSecret }]);
    gateway.socket.lose(4500);
    await vi.advanceTimersByTimeAsync(1_000);
    await settle();
    expect(gateway.socket.asked("join")).toMatchObject([{ sessionSecret: first?.sessionSecret }]);
  });

  it("is followed by the usual waits once no session can live any more", async () => {
    const { room, gateway } = await joined();
    gateway.isAway = true;
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(19_000);
    expect(room.getState().phase).toBe("joined");
    await vi.advanceTimersByTimeAsync(1_100);
    expect(room.getState()).toMatchObject({ phase: "waiting", ended: { code: 1006, wasJoined: true } });
    gateway.isAway = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(room.getState().phase).toBe("joined");
  });

  it("and comes back with another session's state shows that state", async () => {
    const gateway = new FakeGateway();
    gateway.participants = [participant("bea", ["camera"]), participant("cleo", ["camera"])];
    const { room, present } = await joined(gateway);
    const { resume_session } = {
      resume_session: () => ({
        ...{ lost: true, lastRequest: gateway.lastRequest, lastEvent: 9, epoch: 1, revision: 7 },
        participants: [participant("cleo", ["camera"]), participant("dan"), participant("me", [], "Ada")],
        transports: [],
        producers: [],
        consumers: [],
      }),
    };
    gateway.answers.resume_session = resume_session;
    gateway.participants = [participant("cleo", ["camera"]), participant("dan")];
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(present()).toEqual(["cleo", "dan", "Ada"]);
    // The transports were gone, so the page opens them again, and sends and receives everything again.
    expect(gateway.socket.asked("create_transport")).toHaveLength(2);
    expect(gateway.socket.asked("produce").map(({ source }) => source)).toEqual(["microphone", "camera"]);
    expect(room.getState().presence.media.map(({ userId }) => userId)).toEqual(["cleo"]);
  });
});

describe("a person who was replaced", () => {
  it("stops with the camera off, and does not rejoin", async () => {
    const { room, gateway, browser } = await joined();
    gateway.socket.tell("closing", { reason: "replaced", code: 4409 });
    gateway.socket.lose(4409);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(room.getState()).toMatchObject({ phase: "ended", ended: { code: 4409, wasJoined: true } });
    expect(gateway.sockets).toHaveLength(1);
    expect(browser.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
  });

  it("can rejoin as the same user, with the devices that were on", async () => {
    const { room, gateway, browser } = await joined();
    await room.local.setCamera(false);
    gateway.socket.lose(4409);
    room.joinAgain();
    await settle();
    expect(gateway.socket.asked("join")).toMatchObject([{ userId: "me" }]);
    expect(browser.asked).toEqual(["audio+video", "audio"]);
  });
});

it("has a secret that no other page has", async () => {
  const secrets = [await joined(), await joined()].map(({ gateway }) => gateway.socket.asked("join")[0]?.sessionSecret);
  expect(new Set(secrets).size).toBe(2);
});

describe("leaving", () => {
  it("takes effect at once, and sends `leave` before closing the connection", async () => {
    const { room, gateway, browser } = await joined();
    room.leave();
    expect(room.getState()).toMatchObject({ phase: "idle", presence: { participants: [] } });
    expect(browser.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
    expect(gateway.socket.types().at(-1)).toBe("leave");
    expect(gateway.socket.closedWith).toBeUndefined();
    await settle();
    expect(gateway.socket.closedWith).toBe(1000);
  });

  it("closes the connection even if the gateway does not answer", async () => {
    const { room, gateway } = await joined();
    gateway.socket.heard = () => undefined;
    room.leave();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(gateway.socket.closedWith).toBe(1000);
  });

  it("ends the wait for another attempt", async () => {
    const { room, gateway } = await joined();
    gateway.socket.lose(4500);
    room.leave();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.sockets).toHaveLength(1);
    expect(room.getState().phase).toBe("idle");
  });

  it("while joining leaves nothing behind", async () => {
    const { room, gateway } = setUp();
    room.join(ADA);
    room.leave();
    await settle();
    expect(gateway.socket.closedWith).toBe(1000);
    expect(room.getState().phase).toBe("idle");
  });

  it("moves to another channel with the same user id and the devices that are on", async () => {
    const { room, gateway } = await joined();
    await room.local.setMicrophone(false);
    const old = gateway.socket;
    room.move("kitchen");
    await settle();
    expect(old.types().at(-1)).toBe("leave");
    expect(gateway.socket.asked("join")).toMatchObject([{ channelId: "kitchen", username: "Ada", userId: "me" }]);
    expect(room.getState()).toMatchObject({ phase: "joined", channelId: "kitchen" });
    expect(room.getState().local.microphone.status).not.toBe("on");
  });

  it("follows a moderator who moves the person to another channel", async () => {
    const { room, gateway } = await joined();
    const old = gateway.socket;
    old.tell("channel_changed", { channelId: "kitchen" } as EventMap["channel_changed"]);
    await settle();
    expect(gateway.socket.asked("join")).toMatchObject([{ channelId: "kitchen", username: "Ada", userId: "me" }]);
    expect(room.getState()).toMatchObject({ phase: "joined", channelId: "kitchen" });
  });

  it("keeps the old channel's events out of the next channel", async () => {
    const { room, gateway, present } = await joined();
    const old = gateway.socket;
    gateway.answers.leave = () => new Silence();
    room.leave();
    room.join({ ...ADA, channelId: "kitchen" });
    await settle();
    const [bea, revision] = [participant("bea"), gateway.revision + 1];
    old.tell("voice_state", {
      ...{ type: "user_joined", channelId: "lobby", userId: "bea", username: "bea", participant: bea },
      ...{ epoch: 1, revision, count: 2 },
    });
    expect(present()).toEqual(["Ada"]);
    expect(room.getState().news).toBeUndefined();
  });

  it("allows joining another channel with a new user id", async () => {
    const { room, gateway } = await joined();
    room.leave();
    room.join({ ...ADA, channelId: "kitchen" });
    await settle();
    expect(room.getState()).toMatchObject({ phase: "joined", channelId: "kitchen" });
    expect(gateway.socket.asked("join")).toMatchObject([{ channelId: "kitchen", username: "Ada" }]);
    expect(gateway.socket.asked("join")[0]).not.toHaveProperty("userId");
  });
});

describe("a page that goes away", () => {
  it("closes its connection before the event handler returns", async () => {
    const { room, gateway, browser } = await joined();
    room.abandon();
    expect(gateway.socket.closedWith).toBe(1000);
    expect(browser.tracks.every(({ readyState }) => readyState === "ended")).toBe(true);
    expect(room.getState().phase).toBe("idle");
  });

  it("joins again when the browser shows it again", async () => {
    const { room, gateway } = await joined();
    room.abandon();
    room.comeBack();
    await settle();
    expect(room.getState()).toMatchObject({ phase: "joined", channelId: "lobby" });
    expect(gateway.socket.asked("produce")).toHaveLength(2);
  });
});

describe("a page that comes back", () => {
  it("does not rejoin for a person who had left", async () => {
    const { room, gateway } = await joined();
    room.leave();
    room.abandon();
    room.comeBack();
    await settle();
    expect(gateway.sockets).toHaveLength(1);
    expect(room.getState().phase).toBe("idle");
  });

  it("does not rejoin after being replaced by another window", async () => {
    const { room, gateway } = await joined();
    gateway.socket.lose(4409);
    room.abandon();
    room.comeBack();
    await settle();
    expect(gateway.sockets).toHaveLength(1);
    expect(room.getState()).toMatchObject({ phase: "ended", ended: { code: 4409 } });
  });

  it("asks again for devices whose permission was still open", async () => {
    const browser = new FakeBrowser();
    browser.held = new Promise(() => undefined);
    const { room } = await joined(undefined, browser);
    room.abandon();
    room.comeBack();
    await settle();
    expect(browser.asked).toEqual(["audio+video", "audio+video"]);
  });
});

describe("a gateway that asks for a token", () => {
  it("gets the link's token, and gets it again after a lost connection", async () => {
    const { room, gateway } = setUp();
    room.join({ ...ADA, token: "secret" });
    await settle();
    gateway.socket.lose(4500);
    await vi.advanceTimersByTimeAsync(1_000);
    await settle();
    for (const { sent } of gateway.sockets) expect(sent[0]?.data).toMatchObject({ token: "secret" });
  });

  it("lets the person in with the wanted devices once the token is right", async () => {
    const { room, gateway, browser } = setUp();
    gateway.answers.join = () => new FakeError("unauthenticated");
    room.join(ADA);
    await settle();
    expect(room.getState()).toMatchObject({ phase: "ended", ended: { code: 4401 } });
    delete gateway.answers.join;
    room.joinAgain("secret");
    await settle();
    expect(room.getState().phase).toBe("joined");
    expect(gateway.socket.asked("join")).toMatchObject([{ token: "secret" }]);
    expect(browser.asked).toEqual(["audio+video", "audio+video"]);
  });

  it("joins again at once if the gateway rejected the last token and the surrounding page gives another one", async () => {
    const { room, gateway } = setUp();
    gateway.answers.join = () => new FakeError("unauthenticated");
    room.join({ ...ADA, token: "old" });
    await settle();
    delete gateway.answers.join;
    room.useToken("new");
    await settle();
    expect(room.getState().phase).toBe("joined");
    expect(gateway.socket.asked("join")).toMatchObject([{ token: "new" }]);
  });

  it("starts nothing because of a token that comes at another time", async () => {
    const { room, gateway, browser } = setUp();
    room.useToken("early");
    await settle();
    expect(room.getState().phase).toBe("idle");
    room.join({ ...ADA, token: "old" });
    await settle();
    room.useToken("later");
    await settle();
    expect(gateway.sockets).toHaveLength(1);
    expect(browser.asked).toEqual(["audio+video"]);
    gateway.socket.lose(4500);
    await vi.advanceTimersByTimeAsync(1_000);
    await settle();
    expect(gateway.sockets[1]?.sent[0]?.data).toMatchObject({ token: "later" });
  });
});

describe("news", () => {
  it("names everybody who joined or left, once", async () => {
    const { room, gateway } = await joined();
    const [bea, me] = [participant("bea"), participant("me")];
    gateway.tell("user_joined", bea, [me, bea]);
    expect(room.getState().news).toEqual({ serial: 1, event: "joined", username: "bea" });
    gateway.tell("user_left", bea, [me]);
    expect(room.getState().news).toEqual({ serial: 2, event: "left", username: "bea" });
  });
});

describe("a moderator", () => {
  async function moderating() {
    const gateway = new FakeGateway();
    gateway.grants = ["publish", "moderate"];
    gateway.participants = [participant("bea", ["microphone"])];
    return joined(gateway);
  }

  it("is somebody whose token grants it", async () => {
    expect((await moderating()).room.getState().presence.moderates).toBe(true);
    expect((await joined()).room.getState().presence.moderates).toBe(false);
  });

  it("decides about people and the channel", async () => {
    const { room, gateway } = await moderating();
    room.moderation.setMuted("bea", "microphone", true);
    room.moderation.setMuted("bea", "microphone", false);
    room.moderation.setDeafened("bea", true);
    room.moderation.setDeafened("bea", false);
    room.moderation.remove("bea");
    room.moderation.setLocked(true);
    room.moderation.setLocked(false);
    room.moderation.end();
    await settle();
    const source = "microphone";
    expect(gateway.socket.asked("mute")).toEqual([{ userId: "bea", source }]);
    expect(gateway.socket.asked("unmute")).toEqual([{ userId: "bea", source }]);
    for (const type of ["deafen", "undeafen", "remove_participant"] as const) {
      expect(gateway.socket.asked(type)).toEqual([{ userId: "bea" }]);
    }
    for (const type of ["lock_channel", "unlock_channel", "end_channel"] as const) {
      expect(gateway.socket.asked(type)).toHaveLength(1);
    }
    expect(room.getState().notModerated).toBeUndefined();
  });

  it("learns that the gateway refused", async () => {
    const { room, gateway } = await moderating();
    gateway.answers.lock_channel = () => new FakeError("forbidden");
    room.moderation.setLocked(true);
    await settle();
    expect(room.getState().notModerated).toBe("no");
    room.moderation.dismiss();
    expect(room.getState().notModerated).toBeUndefined();
  });

  it("sees whether the channel is locked", async () => {
    const { room, gateway } = await moderating();
    gateway.socket.tell("channel_state", { locked: true, maxMembers: 5 });
    expect(room.getState().presence.channel).toEqual({ locked: true, maxMembers: 5 });
  });
});

describe("somebody whom a moderator muted", () => {
  it("is muted at once and by a new session, and may speak again later", async () => {
    const { room, gateway } = await joined();
    const me = participant("me", ["microphone"], "Ada");
    gateway.tell("user_updated", { ...me, mutedSources: ["microphone"] }, [{ ...me, mutedSources: ["microphone"] }]);
    await settle();
    expect(room.getState().local.microphone).toMatchObject({ status: "muted", trouble: "moderated" });
    expect(gateway.socket.asked("pause")).toHaveLength(1);
    await room.local.setMicrophone(true);
    expect(gateway.socket.asked("resume")).toHaveLength(0);
    gateway.tell("user_updated", me, [me]);
    await room.local.setMicrophone(true);
    await settle();
    expect(room.getState().local.microphone).toMatchObject({ status: "on" });
    expect(gateway.socket.asked("resume")).toHaveLength(1);
  });
});

describe("a newer token", () => {
  it("is given to the gateway during the call, and its grants count", async () => {
    const { room, gateway } = await joined();
    gateway.grants = ["moderate"];
    room.useToken("newer");
    await settle();
    expect(gateway.socket.asked("renew_token")).toEqual([{ token: "newer" }]);
    expect(room.getState()).toMatchObject({ phase: "joined", presence: { moderates: true } });
  });

  it("that the gateway does not accept ends nothing", async () => {
    const { room, gateway } = await joined();
    gateway.answers.renew_token = () => new FakeError("unauthenticated");
    room.useToken("wrong");
    await settle();
    expect(room.getState().phase).toBe("joined");
  });
});
