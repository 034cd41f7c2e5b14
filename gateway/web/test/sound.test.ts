import { describe, expect, it, vi } from "vitest";

import { Sound, type Playable } from "../src/sound";
import { domError } from "./browser";

function element(error?: string) {
  const playable = { error, play: vi.fn(async () => (playable.error ? Promise.reject(domError(playable.error)) : undefined)) };
  return playable as typeof playable & Playable;
}

const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

describe("sound", () => {
  it("plays an added element", async () => {
    const sound = new Sound();
    const audio = element();
    sound.add(audio);
    await settled();
    expect(audio.play).toHaveBeenCalledOnce();
    expect(sound.isBlocked()).toBe(false);
  });

  it("reports that the browser waits for a gesture", async () => {
    const sound = new Sound();
    const listener = vi.fn();
    sound.subscribe(listener);
    sound.add(element("NotAllowedError"));
    await settled();
    expect(sound.isBlocked()).toBe(true);
    expect(listener).toHaveBeenCalledOnce();
  });

  it("is not blocked by an element that was removed before it could play", async () => {
    const sound = new Sound();
    sound.add(element("AbortError"));
    await settled();
    expect(sound.isBlocked()).toBe(false);
  });

  it("plays every element once it is turned on", async () => {
    const sound = new Sound();
    const voices = [element("NotAllowedError"), element("NotAllowedError")];
    voices.forEach((voice) => sound.add(voice));
    await settled();
    voices.forEach((voice) => (voice.error = undefined));
    await sound.turnOn();
    expect(voices.map((voice) => voice.play.mock.calls.length)).toEqual([2, 2]);
    expect(sound.isBlocked()).toBe(false);
  });

  it("stays blocked if the browser refuses again", async () => {
    const sound = new Sound();
    sound.add(element("NotAllowedError"));
    await settled();
    await sound.turnOn();
    expect(sound.isBlocked()).toBe(true);
  });

  it("is not blocked once every element is gone", async () => {
    const sound = new Sound();
    const remove = sound.add(element("NotAllowedError"));
    await settled();
    remove();
    expect(sound.isBlocked()).toBe(false);
  });
});
