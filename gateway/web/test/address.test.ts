import { describe, expect, it } from "vitest";

import { channelIn, gatewayUrl, pathOf, wishesIn } from "../src/address";

describe("an address", () => {
  it.each(["lobby", "a.b:c-d_e", "X"])("leads to the channel that it was made for: %s", (channelId) => {
    expect(channelIn(pathOf(channelId))).toBe(channelId);
  });

  it.each(["/", "/c/", "/other/lobby"])("that is no channel's leads to none: %s", (path) => {
    expect(channelIn(path)).toBeUndefined();
  });

  it("with a name that no channel can have keeps it, to be corrected", () => {
    expect(["/c/a/b", "/c/%zz", "/c/caf%C3%A9%20au%20lait"].map(channelIn)).toEqual(["a/b", "%zz", "café au lait"]);
  });

  it("may end with a slash", () => {
    expect(channelIn("/c/lobby/")).toBe("lobby");
  });

  it("can ask to join without a click", () => {
    expect(wishesIn("?name=Ada&join=1&mic=0&token=s%2B1")).toEqual({
      ...{ name: "Ada", userId: undefined, token: "s+1", join: true },
      ...{ microphone: false, camera: undefined },
    });
    expect(wishesIn("")).toMatchObject({ join: false, name: undefined });
    expect(wishesIn("?join=0&camera=1&user=u1")).toMatchObject({ join: false, camera: true, userId: "u1" });
  });

  it("of the gateway is that of the page", () => {
    expect(gatewayUrl({ protocol: "http:", host: "127.0.0.1:8080" })).toBe("ws://127.0.0.1:8080/ws");
    expect(gatewayUrl({ protocol: "https:", host: "calls.example" })).toBe("wss://calls.example/ws");
  });
});
