import { beforeEach, describe, expect, it, vi } from "vitest";

import { LocalMedia, troubleOf } from "../src/localMedia";
import { domError, FakeBrowser, FakeStream } from "./browser";

beforeEach(() => vi.stubGlobal("MediaStream", FakeStream));

function media(browser: Partial<FakeBrowser> = new FakeBrowser()) {
  const log: string[] = [];
  const local = new LocalMedia(
    {
      changed: () => undefined,
      available: (source, _track, paused) => log.push(paused ? `${source} paused` : source),
      gone: (source) => log.push(`${source} gone`),
    },
    browser as FakeBrowser,
  );
  const statuses = () => Object.values(local.state).map(({ status, trouble }) => trouble ?? status);
  return { local, log, statuses };
}

const BOTH = { microphone: true, camera: true };

describe("joining with microphone and camera", () => {
  it("asks for both in one question", async () => {
    const browser = new FakeBrowser();
    const { local, log, statuses } = media(browser);
    await local.start(BOTH);
    expect(browser.asked).toEqual(["audio+video"]);
    expect(log).toEqual(["microphone", "camera"]);
    expect(statuses()).toEqual(["on", "on", "off"]);
  });

  it("asks only for what is wanted", async () => {
    const browser = new FakeBrowser();
    const { local, statuses } = media(browser);
    await local.start({ microphone: true, camera: false });
    await local.start({ microphone: false, camera: false });
    expect(browser.asked).toEqual(["audio"]);
    expect(statuses()).toEqual(["on", "off", "off"]);
  });

  it("has the microphone where there is no camera, and says that there is none", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotFoundError");
    const { local, log, statuses } = media(browser);
    await local.start(BOTH);
    expect(log).toEqual(["microphone"]);
    expect(statuses()).toEqual(["on", "missing", "off"]);
  });

  it("has the camera where the microphone is busy", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("audio", "NotReadableError");
    const { local, statuses } = media(browser);
    await local.start(BOTH);
    expect(statuses()).toEqual(["busy", "on", "off"]);
  });

  it("does not ask a second time after a no", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotAllowedError");
    const { local, statuses } = media(browser);
    await local.start(BOTH);
    expect(browser.asked).toEqual(["audio+video"]);
    expect(statuses()).toEqual(["refused", "refused", "off"]);
  });

  it("has the microphone where only the camera was blocked for good", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotAllowedError");
    browser.permissionStates.set("camera", "denied");
    const { local, statuses } = media(browser);
    await local.start(BOTH);
    expect(browser.asked).toEqual(["audio+video", "audio"]);
    expect(statuses()).toEqual(["on", "refused", "off"]);
  });

  it("says so where the address is not one that browsers trust", async () => {
    const { local, statuses } = media({});
    await local.start(BOTH);
    expect(statuses()).toEqual(["insecure", "insecure", "off"]);
  });

  it("switches nothing on when the answer comes after one has left", async () => {
    const browser = new FakeBrowser();
    let answer: () => void = () => undefined;
    browser.held = new Promise((resolve) => (answer = resolve));
    const { local, log, statuses } = media(browser);
    const started = local.start(BOTH);
    local.stopAll();
    answer();
    await started;
    expect(log).toEqual([]);
    expect(statuses()).toEqual(["off", "off", "off"]);
    expect(browser.tracks.map(({ readyState }) => readyState)).toEqual(["ended", "ended"]);
  });
});

describe("muting", () => {
  it("silences the track at once and keeps the microphone", async () => {
    const browser = new FakeBrowser();
    const { local, log } = media(browser);
    await local.setMicrophone(true);
    void local.setMicrophone(false);
    expect(browser.tracks[0]).toMatchObject({ enabled: false, readyState: "live" });
    expect(local.state.microphone.status).toBe("muted");
    void local.setMicrophone(true);
    expect(browser.tracks[0]?.enabled).toBe(true);
    expect(log).toEqual(["microphone", "microphone paused", "microphone"]);
    expect(browser.asked).toEqual(["audio"]);
  });

  it("is what a new connection begins with", async () => {
    const { local } = media();
    await local.setMicrophone(true);
    await local.setMicrophone(false);
    expect(local.tracks).toMatchObject([{ source: "microphone", paused: true }]);
  });
});

describe("a device that is being started", () => {
  it("is not asked for again", async () => {
    const browser = new FakeBrowser();
    const { local, statuses } = media(browser);
    await Promise.all([local.setMicrophone(true), local.setMicrophone(true), local.setCamera(true), local.setCamera(true)]);
    expect(browser.asked).toEqual(["audio", "video"]);
    expect(statuses()).toEqual(["on", "on", "off"]);
  });
});

describe("the camera", () => {
  it("goes out when it is stopped, and is asked for again when it is started", async () => {
    const browser = new FakeBrowser();
    const { local, log } = media(browser);
    await local.setCamera(true);
    await local.setCamera(false);
    expect(browser.tracks[0]?.readyState).toBe("ended");
    await local.setCamera(true);
    expect(log).toEqual(["camera", "camera gone", "camera"]);
  });

  it("that is pulled out is not sent any more, and said to be gone", async () => {
    const browser = new FakeBrowser();
    const { local, log, statuses } = media(browser);
    await local.setCamera(true);
    (browser.tracks[0] as unknown as { remoteStop(): void }).remoteStop();
    expect(log).toEqual(["camera", "camera gone"]);
    expect(statuses()).toEqual(["off", "unplugged", "off"]);
  });
});

describe("sharing the screen", () => {
  it("sends its sound too when there is any", async () => {
    const { local, log } = media();
    await local.setScreen(true);
    expect(log).toEqual(["screen", "screen_audio"]);
    await local.setScreen(false);
    expect(log.slice(2)).toEqual(["screen gone", "screen_audio gone"]);
  });

  it("ends without a word when it is stopped in the browser's own bar", async () => {
    const browser = new FakeBrowser();
    const { local, statuses } = media(browser);
    await local.setScreen(true);
    (browser.tracks[0] as unknown as { remoteStop(): void }).remoteStop();
    expect(statuses()).toEqual(["off", "off", "off"]);
    expect(local.tracks).toEqual([]);
  });

  it("goes on in silence when only its sound ends", async () => {
    const browser = new FakeBrowser();
    const { local, log, statuses } = media(browser);
    await local.setScreen(true);
    (browser.tracks[1] as unknown as { remoteStop(): void }).remoteStop();
    expect(log.slice(2)).toEqual(["screen_audio gone"]);
    expect(statuses()).toEqual(["off", "off", "on"]);
  });

  it("makes no words about a change of mind", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("screen", "NotAllowedError");
    const { local, statuses } = media(browser);
    await local.setScreen(true);
    expect(statuses()).toEqual(["off", "off", "off"]);
  });
});

describe("a trouble", () => {
  it.each([
    ["NotAllowedError", "refused"],
    ["SecurityError", "refused"],
    ["NotFoundError", "missing"],
    ["OverconstrainedError", "missing"],
    ["NotReadableError", "busy"],
    ["AbortError", "busy"],
    ["TypeError", "failed"],
  ])("%s means %s", (name, trouble) => {
    expect(troubleOf(domError(name))).toBe(trouble);
  });

  it("goes when it is dismissed, and when the device starts after all", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotFoundError");
    const { local, statuses } = media(browser);
    await local.setCamera(true);
    local.dismiss("camera");
    expect(statuses()).toEqual(["off", "off", "off"]);
    await local.setCamera(true);
    browser.refusals.clear();
    await local.setCamera(true);
    expect(statuses()).toEqual(["off", "on", "off"]);
  });
});
