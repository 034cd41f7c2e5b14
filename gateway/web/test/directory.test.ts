import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Directory, type DirectoryState } from "../src/directory";
import type { Watched } from "../src/protocol";
import { FakeError, FakeGateway, fakeTimers, settle, Silence } from "./fakes";
import { change, snapshot } from "./watched";

beforeEach(fakeTimers);
afterEach(() => vi.useRealTimers());

const NOW = { lobby: ["ada"], studio: ["ben", "cleo"] };

async function watching(answer: () => Watched | FakeError | Silence = truth) {
  const gateway = new FakeGateway();
  gateway.answers.watch = answer;
  // This is how the gateway answers somebody who is in no channel.
  gateway.answers.ping = () => new FakeError("not_joined");
  let slept = 0;
  const directory = new Directory({
    url: "ws://gateway/ws",
    openSocket: gateway.open,
    now: () => performance.now() + slept,
    random: () => 0,
  });
  directory.start();
  await settle();
  return { gateway, directory, lists: () => lists(directory.getState()), sleep: (ms: number) => void (slept += ms) };
}

function truth(): Watched {
  return { channels: [snapshot("studio", NOW.studio, 2), snapshot("lobby", NOW.lobby, 1)] };
}

function lists({ channels }: DirectoryState): Record<string, string[]> | undefined {
  return channels && Object.fromEntries(channels.map((each) => [each.channelId, each.participants.map(({ userId }) => userId)]));
}

describe("a directory", () => {
  it("shows the channels by name, and each change", async () => {
    const { gateway, directory, lists } = await watching();
    expect(gateway.socket.asked("watch")).toEqual([{ prefix: "", after: {} }]);
    expect(directory.getState()).toMatchObject({ channels: [{ channelId: "lobby" }, { channelId: "studio" }], isCurrent: true });
    gateway.socket.tell("voice_state", change("left", "ada", 2));
    gateway.socket.tell("voice_state", change("joined", "dora", 3, { channelId: "studio" }));
    await vi.advanceTimersByTimeAsync(100);
    expect(lists()).toEqual({ studio: ["ben", "cleo", "dora"] });
  });

  it("shows many changes together", async () => {
    const { gateway, directory } = await watching();
    let shown = 0;
    directory.subscribe(() => (shown += 1));
    for (let each = 2; each < 500; each += 1) gateway.socket.tell("voice_state", change("joined", `user${each}`, each));
    await vi.advanceTimersByTimeAsync(300);
    expect(shown).toBeLessThanOrEqual(2);
    expect(directory.getState().channels?.[0]?.participants).toHaveLength(499);
  });

  it.each(["unauthenticated", "forbidden", "limit_exceeded", "unknown_type"])("shows nothing after %s", async (code) => {
    const { gateway, directory } = await watching(() => new FakeError(code));
    expect(directory.getState()).toEqual({ channels: undefined, isCurrent: false });
    expect(gateway.socket.closedWith).toBe(1000);
    directory.check();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.sockets).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("asks again with a token if the gateway refused", async () => {
    const { gateway, directory, lists } = await watching(() => new FakeError("unauthenticated"));
    gateway.answers.watch = truth;
    directory.useToken("sesame");
    await settle();
    expect(gateway.socket.asked("watch")).toMatchObject([{ token: "sesame" }]);
    expect(lists()).toEqual(NOW);
    directory.useToken("a newer one");
    await settle();
    expect(gateway.sockets).toHaveLength(2);
  });

  it("shows nothing any more if the gateway closes for good", async () => {
    const { gateway, directory } = await watching();
    gateway.socket.lose(4403);
    expect(directory.getState().channels).toBeUndefined();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.sockets).toHaveLength(1);
  });

  it("asks for what it missed after the connection broke, and says meanwhile that its lists may be old", async () => {
    const { gateway, directory, lists } = await watching();
    gateway.socket.lose(1006);
    expect(directory.getState().isCurrent).toBe(false);
    expect(lists()).toEqual(NOW);
    gateway.answers.watch = () => ({
      channels: [{ channelId: "lobby", events: [change("joined", "dora", 2)] }, { channelId: "studio", events: [] }],
    });
    await vi.advanceTimersByTimeAsync(1_100);
    const after = { lobby: { epoch: 7, revision: 1 }, studio: { epoch: 7, revision: 2 } };
    expect(gateway.socket.asked("watch")).toEqual([{ prefix: "", after }]);
    expect(directory.getState().isCurrent).toBe(true);
    expect(lists()).toEqual({ ...NOW, lobby: ["ada", "dora"] });
  });

  it("shows that a channel has closed meanwhile", async () => {
    const { gateway, lists } = await watching();
    gateway.socket.lose(1006);
    gateway.answers.watch = () => ({ channels: [snapshot("lobby", ["ada"], 1)] });
    await vi.advanceTimersByTimeAsync(1_100);
    expect(lists()).toEqual({ lobby: ["ada"] });
  });

  it("backs off while nobody answers, and begins again once it has settled", async () => {
    const { gateway } = await watching();
    gateway.isAway = true;
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(16_000);
    expect(gateway.sockets).toHaveLength(5); // after 1, 3, 7 and 15 s
    gateway.isAway = false;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(gateway.sockets).toHaveLength(6);
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(gateway.sockets).toHaveLength(7);
  });

  it("waits as long as the gateway asks, even if the network changes", async () => {
    const { gateway, directory } = await watching();
    gateway.socket.tell("closing", { code: 4429, reason: "full", retryAfterMs: 9_000 });
    gateway.socket.lose(4429);
    await vi.advanceTimersByTimeAsync(8_000);
    directory.check();
    await settle();
    expect(gateway.sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("follows the gateway to another address, and goes back if nobody is there", async () => {
    const { gateway } = await watching();
    gateway.socket.tell("closing", { code: 1012, reason: "restart", retryAfterMs: 0, url: "ws://other/ws" });
    gateway.isAway = true;
    gateway.socket.lose(1012);
    await vi.advanceTimersByTimeAsync(300);
    gateway.isAway = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(gateway.sockets.map(({ url }) => url)).toEqual(["ws://gateway/ws", "ws://other/ws", "ws://gateway/ws"]);
  });
});

describe("a page that is visible again", () => {
  it("keeps a connection that answers", async () => {
    const { gateway, directory } = await watching();
    directory.check();
    directory.check();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(gateway.socket.types()).toEqual(["watch", "ping"]);
    expect(gateway.sockets).toHaveLength(1);
  });

  it("shows the truth within a second after an hour, although its connection is dead", async () => {
    const { gateway, directory, lists, sleep } = await watching();
    gateway.answers.ping = () => new Silence();
    gateway.answers.watch = () => ({ channels: [snapshot("attic", ["dora"], 9)] });
    sleep(3_600_000);
    directory.check();
    await vi.advanceTimersByTimeAsync(500);
    expect(lists()).toEqual({ attic: ["dora"] });
    expect(directory.getState().isCurrent).toBe(true);
  });

  it("does not wait for the next attempt", async () => {
    const { gateway, directory, lists } = await watching();
    gateway.isAway = true;
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(8_000);
    gateway.isAway = false;
    directory.check();
    await settle();
    expect(lists()).toEqual(NOW);
  });

  it("does not wait any longer for a time that has passed while the machine slept", async () => {
    const { gateway, directory, sleep } = await watching();
    gateway.socket.lose(1001);
    sleep(3_600_000);
    directory.check();
    await settle();
    expect(directory.getState().isCurrent).toBe(true);
  });

  it("replaces an attempt that hangs", async () => {
    const { gateway, directory, sleep } = await watching(() => new Silence());
    sleep(10_000);
    gateway.answers.watch = truth;
    directory.check();
    await settle();
    expect(directory.getState().isCurrent).toBe(true);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("comes back from the back/forward cache with what it missed", async () => {
    const { gateway, directory, lists } = await watching();
    directory.stop();
    expect(gateway.socket.closedWith).toBe(1000);
    expect(directory.getState().isCurrent).toBe(false);
    directory.check();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.sockets).toHaveLength(1);
    gateway.answers.watch = () => ({ channels: [snapshot("attic", ["dora"], 9)] });
    directory.start();
    await settle();
    expect(Object.keys(gateway.socket.asked("watch")[0]?.after ?? {})).toEqual(["studio", "lobby"]);
    expect(lists()).toEqual({ attic: ["dora"] });
  });
});

describe("a connection", () => {
  it("that passes nothing any more is replaced without anybody looking", async () => {
    const { gateway, directory } = await watching();
    gateway.answers.ping = () => new Silence();
    await vi.advanceTimersByTimeAsync(7_600);
    expect(gateway.sockets).toHaveLength(2);
    expect(directory.getState().isCurrent).toBe(true);
  });

  it("is not opened while the call needs its own", async () => {
    const { gateway, directory, lists } = await watching();
    directory.hold(true);
    gateway.socket.lose(1006);
    directory.check();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(gateway.sockets).toHaveLength(1);
    directory.hold(false);
    await settle();
    expect(gateway.sockets).toHaveLength(2);
    expect(lists()).toEqual(NOW);
  });

  it("that is not ready yet soon makes way for the call, and an open one stays", async () => {
    const { gateway, directory } = await watching();
    directory.hold(true);
    expect(gateway.socket.closedWith).toBeUndefined();
    directory.hold(false);
    gateway.answers.watch = () => new Silence();
    gateway.socket.lose(1006);
    await vi.advanceTimersByTimeAsync(1_100);
    directory.hold(true);
    expect(gateway.socket.closedWith).toBeUndefined();
    await vi.advanceTimersByTimeAsync(500);
    expect(gateway.socket.closedWith).toBe(1000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("is opened again if the call needs its own for a moment only", async () => {
    const { gateway, directory } = await watching(() => new Silence());
    directory.hold(true);
    directory.hold(false);
    gateway.answers.watch = truth;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(directory.getState().isCurrent).toBe(true);
    expect(gateway.sockets).toHaveLength(2);
  });

  it("leaves nothing behind when the page stops", async () => {
    const { directory } = await watching();
    directory.stop();
    await vi.advanceTimersByTimeAsync(200);
    expect(vi.getTimerCount()).toBe(0);
  });
});
