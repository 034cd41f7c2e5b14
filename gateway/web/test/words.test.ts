import { describe, expect, it } from "vitest";

import type { LocalState, Trouble } from "../src/localMedia";
import { blockedWords, endedWords, troubles, waitingWords, wrongTokenWords } from "../src/words";

function local(microphone?: Trouble, camera?: Trouble, screen?: Trouble): LocalState {
  const device = (trouble?: Trouble) => ({ status: "off" as const, trouble });
  return { microphone: device(microphone), camera: device(camera), screen: device(screen) };
}

const ended = (code: number, wasJoined = true) => ({ code, reason: "", wasJoined });

describe("a rejected token", () => {
  it("is wrong, unless the gateway says that it has known it", () => {
    expect(wrongTokenWords("the token is missing or wrong")).toBe("This token is not the right one.");
    expect(wrongTokenWords("the token has expired")).toBe("This token has expired.");
  });
});

describe("a trouble with devices", () => {
  it("that both devices share is reported once", () => {
    expect(troubles(local("missing", "missing"))).toMatchObject([
      { title: "No microphone or camera found", devices: ["microphone", "camera"] },
    ]);
  });

  it("that differs is reported for each device", () => {
    const titles = troubles(local("refused", "busy")).map(({ title }) => title);
    expect(titles).toEqual(["Your microphone is blocked", "Your camera is busy"]);
  });

  it("that stops a device from starting tells the person they can still listen and watch", () => {
    for (const trouble of ["refused", "missing", "busy", "insecure", "failed"] as const) {
      expect(troubles(local(undefined, trouble))[0]?.text).toContain("listen and watch");
    }
  });

  it("that a moderator caused says who did it", () => {
    const titles = (...each: Parameters<typeof local>) => troubles(local(...each)).map(({ title }) => title);
    expect(titles("moderated")).toEqual(["A moderator muted your microphone"]);
    expect(titles("moderated", "moderated")).toEqual(["A moderator muted your microphone and camera"]);
  });

  it("is not reported when there is none", () => {
    expect(troubles(local())).toEqual([]);
  });
});

describe("words for media that does not get through", () => {
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
  const chromium = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36";

  it("name --media-host for Firefox on the gateway's own machine", () => {
    for (const here of ["127.0.0.1", "localhost", "[::1]", "127.1.2.3", "call.localhost"]) {
      expect(blockedWords(firefox, here).text).toContain("--media-host");
    }
  });

  it("name a firewall everywhere else", () => {
    expect(blockedWords(firefox, "call.example.org").text).toContain("firewall");
    expect(blockedWords(firefox, "127.0.0.1.example.org").text).toContain("firewall");
    expect(blockedWords(chromium, "127.0.0.1").text).toContain("firewall");
  });
});

describe("words for the end of a call", () => {
  it("tell a removal from a refusal", () => {
    expect(endedWords(ended(4403, true)).title).toBe("You were removed");
    expect(endedWords(ended(4403, false)).title).toBe("You may not join this channel");
    expect(endedWords({ code: 4403, reason: "wait 5 s", wasJoined: false }).text).toBe("The gateway did not let you in: wait 5 s.");
  });

  it("name another window as the cause", () => {
    expect(endedWords(ended(4409)).title).toBe("You joined from somewhere else");
    expect(endedWords(ended(4409, false)).title).toBe("Your user id is in use");
  });

  it("quote the gateway's reason for a protocol error", () => {
    expect(endedWords({ code: 4400, reason: "username too long", wasJoined: false }).text).toContain("username too long");
  });
});

describe("words for a wait", () => {
  it("differ for each close code", () => {
    const titles = [1001, 1006, 4413, 4429, 4500].map((code) => waitingWords(ended(code)).title);
    expect(new Set(titles).size).toBe(5);
  });

  it("say that a gateway that was never reached cannot be reached", () => {
    expect(waitingWords(ended(1006, false)).title).toBe("The gateway cannot be reached");
  });
});

describe("what a moderator decided", () => {
  it("is said to those who are out", () => {
    expect(endedWords(ended(4410)).title).toBe("The call has ended");
    expect(endedWords(ended(4403)).text).toBe("A moderator removed you from this channel.");
    const locked = { code: 4403, reason: "a moderator locked this channel", wasJoined: false };
    expect(endedWords(locked).title).toBe("This channel is locked");
  });
});
