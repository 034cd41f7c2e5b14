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
  it("asks the browser for both at once", async () => {
    const browser = new FakeBrowser();
    const { local, log, statuses } = media(browser);
    await local.start(BOTH);
    expect(browser.asked).toEqual(["audio+video"]);
    expect(log).toEqual(["microphone", "camera"]);
    expect(statuses()).toEqual(["on", "on", "off"]);
  });

  it("asks only for the wanted device", async () => {
    const browser = new FakeBrowser();
    const { local, statuses } = media(browser);
    await local.start({ microphone: true, camera: false });
    await local.start({ microphone: false, camera: false });
    expect(browser.asked).toEqual(["audio"]);
    expect(statuses()).toEqual(["on", "off", "off"]);
  });

  it("starts the microphone without a camera, and reports the missing camera", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotFoundError");
    const { local, log, statuses } = media(browser);
    await local.start(BOTH);
    expect(log).toEqual(["microphone"]);
    expect(statuses()).toEqual(["on", "missing", "off"]);
  });

  it("starts the camera while the microphone is busy", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("audio", "NotReadableError");
    const { local, statuses } = media(browser);
    await local.start(BOTH);
    expect(statuses()).toEqual(["busy", "on", "off"]);
  });

  it("does not ask again after a refusal", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotAllowedError");
    const { local, statuses } = media(browser);
    await local.start(BOTH);
    expect(browser.asked).toEqual(["audio+video"]);
    expect(statuses()).toEqual(["refused", "refused", "off"]);
  });

  it("starts the microphone if only the camera is blocked for good", async () => {
    const browser = new FakeBrowser();
    browser.refusals.set("video", "NotAllowedError");
    browser.permissionStates.set("camera", "denied");
    const { local, statuses } = media(browser);
    await local.start(BOTH);
    expect(browser.asked).toEqual(["audio+video", "audio"]);
    expect(statuses()).toEqual(["on", "refused", "off"]);
  });

  it("reports an address on which browsers give no devices", async () => {
    const { local, statuses } = media({});
    await local.start(BOTH);
    expect(statuses()).toEqual(["insecure", "insecure", "off"]);
  });

  it("starts nothing if permission comes after leaving", async () => {
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
  it("disables the track at once and keeps the microphone", async () => {
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

  it("lasts into the next connection", async () => {
    const { local } = media();
    await local.setMicrophone(true);
    await local.setMicrophone(false);
    expect(local.tracks).toMatchObject([{ source: "microphone", paused: true }]);
  });
});

describe("a device that is starting", () => {
  it("is not asked for again", async () => {
    const browser = new FakeBrowser();
    const { local, statuses } = media(browser);
    await Promise.all([local.setMicrophone(true), local.setMicrophone(true), local.setCamera(true), local.setCamera(true)]);
    expect(browser.asked).toEqual(["audio", "video"]);
    expect(statuses()).toEqual(["on", "on", "off"]);
  });
});

describe("the camera", () => {
  it("is released when stopped, and asked for again when started", async () => {
    const browser = new FakeBrowser();
    const { local, log } = media(browser);
    await local.setCamera(true);
    await local.setCamera(false);
    expect(browser.tracks[0]?.readyState).toBe("ended");
    await local.setCamera(true);
    expect(log).toEqual(["camera", "camera gone", "camera"]);
  });

  it("is no longer sent after being unplugged, and reported as unplugged", async () => {
    const browser = new FakeBrowser();
    const { local, log, statuses } = media(browser);
    await local.setCamera(true);
    (browser.tracks[0] as unknown as { remoteStop(): void }).remoteStop();
    expect(log).toEqual(["camera", "camera gone"]);
    expect(statuses()).toEqual(["off", "unplugged", "off"]);
  });
});

describe("sharing the screen", () => {
  it("sends the screen's sound if it has any", async () => {
    const { local, log } = media();
    await local.setScreen(true);
    expect(log).toEqual(["screen", "screen_audio"]);
    await local.setScreen(false);
    expect(log.slice(2)).toEqual(["screen gone", "screen_audio gone"]);
  });

  it("ends without a notice when stopped in the browser's own bar", async () => {
    const browser = new FakeBrowser();
    const { local, statuses } = media(browser);
    await local.setScreen(true);
    (browser.tracks[0] as unknown as { remoteStop(): void }).remoteStop();
    expect(statuses()).toEqual(["off", "off", "off"]);
    expect(local.tracks).toEqual([]);
  });

  it("goes on without sound when only its sound ends", async () => {
    const browser = new FakeBrowser();
    const { local, log, statuses } = media(browser);
    await local.setScreen(true);
    (browser.tracks[1] as unknown as { remoteStop(): void }).remoteStop();
    expect(log.slice(2)).toEqual(["screen_audio gone"]);
    expect(statuses()).toEqual(["off", "off", "on"]);
  });

  it("shows no notice when the person closes the browser's picker", async () => {
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

  it("ends when it is dismissed, and when the device starts", async () => {
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

describe("a moderator's mute", () => {
  it("mutes the microphone, which stays muted until it is allowed and the person turns it on", async () => {
    const { local, log, statuses } = media();
    await local.start(BOTH);
    local.forbid(["microphone"]);
    expect(local.state.microphone).toMatchObject({ status: "muted", trouble: "moderated" });
    local.dismiss("microphone");
    await local.setMicrophone(true);
    expect(local.state.microphone).toMatchObject({ status: "muted", trouble: "moderated" });
    local.forbid([]);
    expect(statuses()).toEqual(["muted", "on", "off"]);
    await local.setMicrophone(true);
    expect(log).toEqual(["microphone", "camera", "microphone paused", "microphone"]);
  });

  it("stops the camera, and no device starts that is muted", async () => {
    const browser = new FakeBrowser();
    const { local, log } = media(browser);
    await local.start(BOTH);
    local.forbid(["camera", "screen"]);
    expect(log).toEqual(["microphone", "camera", "camera gone"]);
    await local.setCamera(true);
    await local.setScreen(true);
    expect([local.state.camera, local.state.screen]).toEqual(Array(2).fill({ status: "off", trouble: "moderated" }));
    expect(browser.asked).toEqual(["audio+video"]);
  });

  it("that comes while the browser asks the person keeps the device off", async () => {
    const browser = new FakeBrowser();
    let allow: () => void = () => undefined;
    browser.held = new Promise((resolve) => (allow = resolve));
    const { local, statuses } = media(browser);
    const started = local.start(BOTH);
    local.forbid(["camera"]);
    allow();
    await started;
    expect(statuses()).toEqual(["on", "moderated", "off"]);
  });

  it("is said once, however often the list comes", async () => {
    const { local, statuses } = media();
    await local.start(BOTH);
    local.forbid(["camera"]);
    local.dismiss("camera");
    local.forbid(["camera"]);
    expect(statuses()).toEqual(["on", "off", "off"]);
  });
});
