import { describe, expect, it } from "vitest";

import { asChannel, asUsername, isChannel } from "../src/names";

describe("a channel's name", () => {
  it("has 1 to 128 of the characters that the protocol allows", () => {
    expect(["a", "a".repeat(128), "Team:a.b_c-1"].every(isChannel)).toBe(true);
    expect(["", "a".repeat(129), "a b", "ä", "a/b"].some(isChannel)).toBe(false);
  });

  it("may be typed with spaces, which become hyphens", () => {
    expect(asChannel("my  team room")).toBe("my-team-room");
  });
});

describe("a person's name", () => {
  it("has no white space around it, no control characters and no lone surrogates", () => {
    expect(asUsername("  Ada\tKing\u0007 \n")).toBe("Ada King");
    expect(asUsername("Ada \ud83d")).toBe("Ada");
    expect(asUsername("\u0000 \t")).toBe("");
  });

  it("is cut at the protocol's limit, but never within a character", () => {
    expect(asUsername("🎈".repeat(70))).toBe("🎈".repeat(64));
    expect(asUsername(`${"a".repeat(63)} b`)).toBe("a".repeat(63));
  });

  it("may be in any script", () => {
    expect(asUsername("مریم")).toBe("مریم");
    expect(asUsername("👩🏽 Ada")).toBe("👩🏽 Ada");
  });

  it("has no invisible characters and is in NFC, because the gateway refuses the one and does the other", () => {
    expect(asUsername("A\u200bd\u202ea\ufeff\u3164")).toBe("Ada");
    expect(asUsername("👩\u200d🚀 Ada")).toBe("👩🚀 Ada");
    expect(asUsername("Ada\u2028King")).toBe("Ada King");
    expect(asUsername("Zoe\u0308")).toBe("Zoë");
    expect(asUsername("\u200b \u2060")).toBe("");
  });
});
