import { describe, expect, it } from "vitest";

import { channelIn, gatewayUrl, isKiosk, pathOf, linkOptionsIn } from "../src/address";

describe("an address", () => {
  it.each(["lobby", "a.b:c-d_e", "X"])("leads to the channel that it was made for: %s", (channelId) => {
    expect(channelIn(pathOf(channelId))).toBe(channelId);
  });

  it.each(["/", "/c/", "/other/lobby"])("that is no channel's leads to none: %s", (path) => {
    expect(channelIn(path)).toBeUndefined();
  });

  it("keeps an invalid channel name, so that the person can correct it", () => {
    expect(["/c/a/b", "/c/%zz", "/c/caf%C3%A9%20au%20lait"].map(channelIn)).toEqual(["a/b", "%zz", "café au lait"]);
  });

  it("may end with a slash", () => {
    expect(channelIn("/c/lobby/")).toBe("lobby");
  });

  it("can fill in the form and ask a kiosk to join", () => {
    expect(linkOptionsIn("?name=Ada&join=1&mic=0")).toEqual({
      ...{ name: "Ada", userId: undefined, join: true },
      ...{ microphone: false, camera: undefined },
    });
    expect(linkOptionsIn("")).toMatchObject({ join: false, name: undefined });
    expect(linkOptionsIn("?join=0&user=u1")).toMatchObject({ join: false, userId: "u1" });
  });

  it("carries no token, because addresses end up in histories and logs", () => {
    expect(Object.keys(linkOptionsIn("?token=secret"))).not.toContain("token");
  });

  it("can switch a device off, but never on", () => {
    expect(linkOptionsIn("?mic=0&camera=0")).toMatchObject({ microphone: false, camera: false });
    for (const on of ["1", "true", "on", ""]) {
      expect(linkOptionsIn(`?mic=${on}&camera=${on}`)).toMatchObject({ microphone: undefined, camera: undefined });
    }
  });

  it("joins without a press only if the gateway says that it is a kiosk", async () => {
    const answer = (text: string) => async () => new Response(text);
    expect(await isKiosk(answer('{"kiosk": true}'))).toBe(true);
    for (const text of ['{"kiosk": false}', '{"kiosk": "yes"}', "{}", "null", "<!doctype html>", ""]) {
      expect(await isKiosk(answer(text))).toBe(false);
    }
    expect(await isKiosk(() => Promise.reject(new Error("no network")))).toBe(false);
  });

  it("of the gateway has the page's own host", () => {
    expect(gatewayUrl({ protocol: "http:", host: "127.0.0.1:8080" })).toBe("ws://127.0.0.1:8080/ws");
    expect(gatewayUrl({ protocol: "https:", host: "calls.example" })).toBe("wss://calls.example/ws");
  });
});
