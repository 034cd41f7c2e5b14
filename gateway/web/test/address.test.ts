import { describe, expect, it } from "vitest";

import { asChannel, channelIn, gatewayUrl, isChannel, pathOf, wishesIn } from "../src/address";

describe("an address", () => {
  it.each(["lobby", "a.b:c-d_e", "X"])("leads to the channel that it was made for: %s", (channelId) => {
    expect(channelIn(pathOf(channelId))).toBe(channelId);
  });

  it.each(["/", "/c/", "/c/a/b", "/c/%zz", "/c/a%20b", "/other/lobby", `/c/${"a".repeat(129)}`])(
    "that is no channel's leads to none: %s",
    (path) => {
      expect(channelIn(path)).toBeUndefined();
    },
  );

  it("may end with a slash", () => {
    expect(channelIn("/c/lobby/")).toBe("lobby");
  });

  it("can ask to join without a click", () => {
    expect(wishesIn("?name=Ada&join=1&mic=0")).toEqual({
      ...{ name: "Ada", userId: undefined, join: true },
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

describe("a channel's name", () => {
  it("has the letters that the protocol allows, 1 to 128 of them", () => {
    expect(["a", "a".repeat(128), "Team:a.b_c-1"].every(isChannel)).toBe(true);
    expect(["", "a".repeat(129), "a b", "ä", "a/b"].some(isChannel)).toBe(false);
  });

  it("may be typed with spaces", () => {
    expect(asChannel("my  team room")).toBe("my-team-room");
  });
});
