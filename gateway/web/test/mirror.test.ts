import { describe, expect, it } from "vitest";

import { Mirror } from "../src/mirror";
import { change, snapshot } from "./watched";

const lists = ({ channels }: Mirror) => Object.fromEntries([...channels].map(([name, members]) => [name, [...members.keys()]]));

function mirror(...channels: Parameters<Mirror["start"]>[0]["channels"]): Mirror {
  const made = new Mirror();
  made.start({ channels });
  return made;
}

describe("a mirror", () => {
  it("makes the list from a snapshot and the changes after it", () => {
    const made = mirror(snapshot("lobby", ["ada"], 1));
    expect(made.take(change("joined", "ben", 2))).toBe(true);
    expect(made.take(change("left", "ada", 3))).toBe(true);
    expect(lists(made)).toEqual({ lobby: ["ben"] });
    expect(made.after()).toEqual({ lobby: { epoch: 7, revision: 3 } });
  });

  it("ignores a change that is known", () => {
    const made = mirror(snapshot("lobby", ["ada"], 5));
    expect(made.take(change("left", "ada", 5))).toBe(false);
    expect(made.take(change("left", "ada", 9, { epoch: 6 }))).toBe(false);
    expect(lists(made)).toEqual({ lobby: ["ada"] });
  });

  it("applies missed changes, and replaces everything by a snapshot", () => {
    const made = mirror(snapshot("lobby", ["ada"], 1), snapshot("studio", [], 0));
    made.start({ channels: [{ channelId: "lobby", events: [change("left", "ada", 2), change("joined", "ben", 1, { epoch: 8 })] }] });
    expect(lists(made)).toEqual({ lobby: ["ben"] });
    made.start({ channels: [snapshot("lobby", ["cleo"], 1, 9)] });
    expect(lists(made)).toEqual({ lobby: ["cleo"] });
  });

  it("empties a channel that the answer to a prefix leaves out", () => {
    const made = mirror(snapshot("lobby", ["ada"], 1), snapshot("other", ["ben"], 1));
    made.start({ channels: [] }, "lob");
    expect(lists(made)).toEqual({ other: ["ben"] });
    made.start({ channels: [] }, "");
    expect(lists(made)).toEqual({});
    expect(made.after()).toEqual({});
  });

  it("asks after as many channels as the message has room for, and after no empty one", () => {
    const names = Array.from({ length: 300 }, (_, index) => `${"x".repeat(100)}${index}`);
    const made = mirror(snapshot("empty", [], 4), ...names.map((name) => snapshot(name, ["ada"], 3)));
    const after = made.after(6_000);
    expect(JSON.stringify(after).length).toBeLessThan(6_000);
    expect(Object.keys(after).length).toBeGreaterThan(30);
    expect(Object.keys(made.after())).toEqual(names);
  });

  it("keeps a channel with a strange name", () => {
    const made = mirror(snapshot("__proto__", ["ada"], 1));
    expect(JSON.stringify(made.after())).toBe('{"__proto__":{"epoch":7,"revision":1}}');
  });

  it("ends with the true list, wherever the connection breaks and whatever comes twice", () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = numbers(seed);
      const present = new Set<string>();
      const history = Array.from({ length: random(20) }, (_, index) => {
        const name = "abc"[random(3)] as string;
        const kind = present.delete(name) ? ("left" as const) : ("joined" as const);
        if (kind === "joined") present.add(name);
        return change(kind, name, index + 1);
      });
      const made = mirror(snapshot("lobby", [], 0));
      for (let seen = 0; seen < history.length; ) {
        const next = Math.min(seen + random(5), history.length);
        for (const event of history.slice(Math.max(0, seen - random(5)), next)) made.take(event);
        seen = next;
        const at = made.after()["lobby"]?.revision;
        // Whoever has an empty list asks for a snapshot.
        if (random(3) === 0 && at !== undefined) {
          made.start({ channels: [{ channelId: "lobby", events: history.slice(at) }] }, "");
          seen = history.length;
        }
      }
      expect(new Set(lists(made)["lobby"]), `seed ${seed}`).toEqual(present);
    }
  });
});

/** Whole numbers below a bound, always the same for a seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}
