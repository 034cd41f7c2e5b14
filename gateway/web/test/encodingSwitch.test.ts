import type { types } from "mediasoup-client";
import { describe, expect, it } from "vitest";

import { EncodingSwitch, keepEncodingsOff } from "../src/encodingSwitch";
import { FakeSender } from "./fakeSender";

function producerOf(sender: FakeSender, id = "p1", closed = false) {
  return { id, closed, rtpSender: sender as unknown as RTCRtpSender };
}

describe("the switch of encodings", () => {
  it("switches off what nobody wants, and on again what somebody wants", async () => {
    const sender = new FakeSender("r0", "r1", "r2");
    const encodings = new EncodingSwitch();
    encodings.wish("p1", [true, true, false]);
    expect(await encodings.apply(producerOf(sender))).toBe(true);
    expect(sender.active).toEqual([true, true, false]);
    encodings.wish("p1", [true, true, true]);
    await encodings.apply(producerOf(sender));
    expect(sender.active).toEqual([true, true, true]);
  });

  it("switches everything off while nobody watches", async () => {
    const sender = new FakeSender("r0", "r1");
    const encodings = new EncodingSwitch();
    encodings.wish("p1", [false, false]);
    await encodings.apply(producerOf(sender));
    expect(sender.active).toEqual([false, false]);
  });

  it("applies the newest wish alone", async () => {
    const sender = new FakeSender("r0", "r1");
    const encodings = new EncodingSwitch();
    encodings.wish("p1", [false, false]);
    encodings.wish("p1", [true, false]);
    await encodings.apply(producerOf(sender));
    expect(sender.active).toEqual([true, false]);
    expect(sender.calls).toBe(1);
  });

  it("asks the browser for nothing that is so already", async () => {
    const sender = new FakeSender("r0", "r1");
    const encodings = new EncodingSwitch();
    expect(await encodings.apply(producerOf(sender))).toBe(false);
    encodings.wish("p1", [true, true]);
    expect(await encodings.apply(producerOf(sender))).toBe(false);
    expect(sender.calls).toBe(0);
  });

  it("goes on after a refusal, and tries again with the next wish", async () => {
    const sender = new FakeSender("r0", "r1");
    const encodings = new EncodingSwitch();
    encodings.wish("p1", [true, false]);
    sender.refuses = true;
    expect(await encodings.apply(producerOf(sender))).toBe(false);
    sender.refuses = false;
    expect(await encodings.apply(producerOf(sender))).toBe(true);
    expect(sender.active).toEqual([true, false]);
  });

  it("leaves encodings alone of which the wish says nothing", async () => {
    const sender = new FakeSender("r0", "r1", "r2");
    const encodings = new EncodingSwitch();
    encodings.wish("p1", [false]);
    await encodings.apply(producerOf(sender));
    expect(sender.active).toEqual([false, true, true]);
  });

  it("leaves closed producers alone, and forgets those that are gone", async () => {
    const sender = new FakeSender("r0", "r1");
    const encodings = new EncodingSwitch();
    encodings.wish("p1", [true, false]);
    expect(await encodings.apply(producerOf(sender, "p1", true))).toBe(false);
    encodings.keepOnly([producerOf(sender, "p2")]);
    expect(await encodings.apply(producerOf(sender))).toBe(false);
    expect(sender.calls).toBe(0);
  });
});

describe("an answer to a later negotiation", () => {
  const head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n";
  const video = (mid: number, rids: string) =>
    `m=video 7 UDP/TLS/RTP/SAVPF 96\r\na=mid:${mid}\r\na=rid:r0 recv\r\na=simulcast:recv ${rids}\r\na=rtpmap:96 VP8/90000\r\n`;

  function peerWith(senders: Record<string, FakeSender>) {
    const answers: (string | undefined)[] = [];
    const peer = {
      getTransceivers: () => Object.entries(senders).map(([mid, sender]) => ({ mid, sender })),
      setRemoteDescription: async ({ sdp }: RTCSessionDescriptionInit) => void answers.push(sdp),
    };
    keepEncodingsOff({ handler: { _pc: peer } } as unknown as types.Transport);
    return { peer, answers };
  }

  it("keeps the encodings off that are off, and all others on", async () => {
    const [camera, other] = [new FakeSender("r0", "r1", "r2"), new FakeSender("r0", "r1")];
    const { peer, answers } = peerWith({ 0: camera, 1: other });
    camera.encodings[1] = { rid: "r1", active: false };
    await peer.setRemoteDescription({ type: "answer", sdp: head + video(0, "r0;r1;~r2") + video(1, "r0;r1") });
    expect(answers).toEqual([head + video(0, "r0;~r1;r2") + video(1, "r0;r1")]);
  });

  it("is left as it is without simulcast", async () => {
    const { peer, answers } = peerWith({ 0: new FakeSender("r0") });
    const sdp = `${head}m=audio 7 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n`;
    await peer.setRemoteDescription({ type: "answer", sdp });
    expect(answers).toEqual([sdp]);
  });

  it("is left to mediasoup-client if that hides its connection", () => {
    expect(() => keepEncodingsOff({ handler: {} } as unknown as types.Transport)).not.toThrow();
  });
});
