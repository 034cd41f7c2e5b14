import { describe, expect, it } from "vitest";

import type { LocalState, Trouble } from "../src/localMedia";
import { blockedWords, endedWords, troubles, waitingWords } from "../src/words";

function local(microphone?: Trouble, camera?: Trouble, screen?: Trouble): LocalState {
  const device = (trouble?: Trouble) => ({ status: "off" as const, trouble });
  return { microphone: device(microphone), camera: device(camera), screen: device(screen) };
}

const ended = (code: number, wasJoined = true) => ({ code, reason: "", wasJoined });

describe("a trouble with one's devices", () => {
  it("that both have is told once", () => {
    expect(troubles(local("missing", "missing"))).toMatchObject([
      { title: "No microphone or camera found", devices: ["microphone", "camera"] },
    ]);
  });

  it("that each has for itself is told for each", () => {
    const titles = troubles(local("refused", "busy")).map(({ title }) => title);
    expect(titles).toEqual(["The browser may not use your microphone", "Your camera is busy"]);
  });

  it("always says that one can listen and watch when one never got to send", () => {
    for (const trouble of ["refused", "missing", "busy", "insecure", "failed"] as const) {
      expect(troubles(local(undefined, trouble))[0]?.text).toContain("listen and watch");
    }
  });

  it("is nothing to talk about when there is none", () => {
    expect(troubles(local())).toEqual([]);
  });
});

describe("media that does not get through", () => {
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
  const chromium = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36";

  it("is not blamed on a firewall where Firefox is on the gateway's own machine: it is told what to do", () => {
    for (const here of ["127.0.0.1", "localhost", "[::1]", "127.1.2.3", "call.localhost"]) {
      expect(blockedWords(firefox, here).text).toContain("--media-host");
    }
  });

  it("may be a firewall's doing everywhere else", () => {
    expect(blockedWords(firefox, "call.example.org").text).toContain("firewall");
    expect(blockedWords(firefox, "127.0.0.1.example.org").text).toContain("firewall");
    expect(blockedWords(chromium, "127.0.0.1").text).toContain("firewall");
  });
});

describe("the end", () => {
  it("is told apart by who was removed and who was never let in", () => {
    expect(endedWords(ended(4403, true)).title).toBe("You were removed");
    expect(endedWords(ended(4403, false)).title).toBe("You may not join this channel");
  });

  it("by another window says so", () => {
    expect(endedWords(ended(4409)).title).toBe("You joined from somewhere else");
  });

  it("by a misunderstanding gives the gateway's words", () => {
    expect(endedWords({ code: 4400, reason: "username too long", wasJoined: false }).text).toContain("username too long");
  });
});

describe("a wait", () => {
  it("has a reason for each code that is waited for", () => {
    const titles = [1001, 1006, 4413, 4429, 4500].map((code) => waitingWords(ended(code)).title);
    expect(new Set(titles).size).toBe(5);
  });

  it("for a gateway that one never reached says that it cannot be reached", () => {
    expect(waitingWords(ended(1006, false)).title).toBe("The gateway cannot be reached");
  });
});
