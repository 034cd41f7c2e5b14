import { describe, expect, it } from "vitest";

import { listenForToken, type Frame } from "../src/embedding";

const ORIGIN = "https://calls.example";

class FakeFrame implements Frame {
  readonly location = { origin: ORIGIN };
  readonly posted: unknown[] = [];
  readonly tokens: string[] = [];
  readonly parent = { postMessage: (...given: unknown[]) => void this.posted.push(given) } as unknown as Window;
  listeners: ((event: MessageEvent) => void)[] = [];

  addEventListener(_: "message", listener: (event: MessageEvent) => void): void {
    this.listeners.push(listener);
  }

  removeEventListener(_: "message", listener: (event: MessageEvent) => void): void {
    this.listeners = this.listeners.filter((each) => each !== listener);
  }

  listen(): () => void {
    return listenForToken(this, (token) => void this.tokens.push(token));
  }

  receive(data: unknown, { origin = ORIGIN, source = this.parent as unknown } = {}): void {
    for (const listener of this.listeners) listener({ data, origin, source } as MessageEvent);
  }
}

describe("a surrounding page", () => {
  it("learns that it may send a token, and only a page of the same origin learns it", () => {
    const frame = new FakeFrame();
    frame.listen();
    expect(frame.posted).toEqual([[{ type: "trio-sfu:ready" }, ORIGIN]]);
  });

  it("gives a token, and later another one", () => {
    const frame = new FakeFrame();
    frame.listen();
    frame.receive({ type: "trio-sfu:token", token: "one" });
    frame.receive({ type: "trio-sfu:token", token: "two" });
    expect(frame.tokens).toEqual(["one", "two"]);
  });

  it.each(["https://evil.example", "http://calls.example", "https://calls.example:8443", "https://calls.example.evil.example", "null", ""])(
    "of another origin gives none: %s",
    (origin) => {
      const frame = new FakeFrame();
      frame.listen();
      frame.receive({ type: "trio-sfu:token", token: "stolen seat" }, { origin });
      expect(frame.tokens).toEqual([]);
    },
  );

  it("is the only window that gives one", () => {
    const frame = new FakeFrame();
    frame.listen();
    for (const source of [{}, null, frame]) frame.receive({ type: "trio-sfu:token", token: "t" }, { source });
    expect(frame.tokens).toEqual([]);
  });

  it("gives nothing with any other message", () => {
    const frame = new FakeFrame();
    frame.listen();
    const others = [null, undefined, "t", 5, [], {}, { token: "t" }, { type: "token", token: "t" }];
    const unusable = [undefined, null, 5, "", "x".repeat(8193), ["t"]].map((token) => ({ type: "trio-sfu:token", token }));
    for (const data of [...others, ...unusable]) frame.receive(data);
    expect(frame.tokens).toEqual([]);
  });

  it("gives none after the page stopped to listen", () => {
    const frame = new FakeFrame();
    frame.listen()();
    expect(frame.listeners).toEqual([]);
  });

  it("does not exist for a page in a window of its own", () => {
    const frame = new FakeFrame();
    Object.assign(frame, { parent: frame });
    frame.listen();
    expect(frame.listeners).toEqual([]);
    expect(frame.posted).toEqual([]);
  });
});
