import type { Device, types } from "mediasoup-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { LossJudge, RedundantAudio, withRedFirst } from "../src/redundantAudio";
import { fakeTimers } from "./fakes";

describe("the judge of losses", () => {
  /** What it says each second, if so many packets of 50 are lost in each second. */
  function judged(...lost: number[]): boolean[] {
    const judge = new LossJudge();
    let total = 0;
    return lost.map((count, second) => judge.judge(second * 1_000, { sent: second * 50, lost: (total += count), asked: 0 }));
  }

  it("wants no RED while nothing, or a single packet, is lost", () => {
    expect(judged(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0)).not.toContain(true);
  });

  it("wants RED as soon as a hundredth of the packets is lost, and for 25 s after that", () => {
    const after = judged(0, 0, 3, ...Array(40).fill(0)).indexOf(false, 2);
    expect(judged(0, 0, 3)).toEqual([false, false, true]);
    // The losses are in the window until second 5.
    expect(after).toBe(5 + 25);
  });

  it("wants RED when the gateway asks for packets, before a report names them", () => {
    const judge = new LossJudge();
    const asked = [0, 1, 2, 3].map((count, second) => judge.judge(second * 1_000, { sent: second * 50, lost: 0, asked: count }));
    expect(asked).toEqual([false, false, false, true]);
  });

  it("does not forget what it has seen when a late packet takes a loss back", () => {
    const judge = new LossJudge();
    const counts = [
      { lost: 0, asked: 0 },
      { lost: 1, asked: 1 },
      { lost: 0, asked: 2 },
      { lost: 0, asked: 3 },
    ];
    const wanted = counts.map((each, second) => judge.judge(second * 1_000, { sent: second * 50, ...each }));
    expect(wanted).toEqual([false, false, false, true]);
  });

  it("does not count what was lost before the first look", () => {
    expect(new LossJudge().judge(0, { sent: 1_000, lost: 500, asked: 500 })).toBe(false);
  });

  it("begins anew when a stream ends and takes its counters away", () => {
    const judge = new LossJudge();
    judge.judge(0, { sent: 1_000, lost: 500, asked: 500 });
    judge.judge(1_000, { sent: 50, lost: 0, asked: 0 });
    expect(judge.judge(2_000, { sent: 100, lost: 0, asked: 0 })).toBe(false);
    expect(judge.judge(3_000, { sent: 150, lost: 3, asked: 0 })).toBe(true);
  });
});

describe("an answer with RED first", () => {
  const head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\na=group:BUNDLE 0 1 2\r\n";
  const audio = (payloads: string, ...lines: string[]) => section("audio", payloads, lines);
  const section = (kind: string, payloads: string, lines: string[]) =>
    [`m=${kind} 7 UDP/TLS/RTP/SAVPF ${payloads}`, "c=IN IP4 0.0.0.0", ...lines, ""].join("\r\n");
  const opus = ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;usedtx=1"];
  const red = ["a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"];
  const video = section("video", "96", ["a=rtpmap:96 VP8/90000"]);
  const offer = head + audio("111 63", ...opus, ...red) + video + audio("111 63", ...opus, ...red);

  it("lists RED before each Opus, with the payload type of the offer, and changes nothing else", () => {
    const answer = head + audio("111", ...opus) + video + audio("111", ...opus);
    const changed = head + audio("63 111", ...red, ...opus) + video + audio("63 111", ...red, ...opus);
    expect(withRedFirst(answer, offer)).toBe(changed);
  });

  it("leaves closed and other sections alone, and offers without RED", () => {
    const closed = head + audio("0") + video;
    expect(withRedFirst(closed, offer)).toBe(closed);
    const answer = head + audio("111", ...opus);
    expect(withRedFirst(answer, head + audio("111", ...opus))).toBe(answer);
    expect(withRedFirst(answer, head)).toBe(answer);
  });
});

describe("a connection that sends audio", () => {
  beforeEach(fakeTimers);
  afterEach(() => vi.useRealTimers());

  const offer = "v=0\r\nm=audio 7 UDP/TLS/RTP/SAVPF 111 63\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n";
  const answer = "v=0\r\nm=audio 7 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n";
  const red = { kind: "audio", mimeType: "audio/red", preferredPayloadType: 63, clockRate: 48_000, channels: 2 };
  const opus = { codecs: [{ mimeType: "audio/opus", payloadType: 111, clockRate: 48_000, channels: 2 }] };

  function connection(codecs: unknown[], name = "Chrome111") {
    const answers: (string | undefined)[] = [];
    const peer = {
      signalingState: "stable",
      localDescription: { type: "offer", sdp: offer },
      createOffer: async () => ({ type: "offer", sdp: offer }),
      setLocalDescription: async () => undefined,
      setRemoteDescription: async ({ sdp }: RTCSessionDescriptionInit) => void answers.push(sdp),
    };
    const transport = { handler: { name, _pc: peer }, connectionState: "connected" } as unknown as types.Transport;
    const audio = new RedundantAudio(transport, { sendRtpCapabilities: { codecs } } as unknown as Device);
    const counters = { sent: 0, lost: 0, asked: 0 };
    const getStats = async () =>
      new Map<string, unknown>([
        ["out", { type: "outbound-rtp", packetsSent: counters.sent, nackCount: counters.asked }],
        ["report", { type: "remote-inbound-rtp", packetsLost: counters.lost }],
      ]);
    const producers = [{ kind: "audio", closed: false, getStats }] as unknown as types.Producer[];
    const second = async (lost: number, asked = 0) => {
      counters.sent += 50;
      counters.lost += lost;
      counters.asked += asked;
      await vi.advanceTimersByTimeAsync(1_000);
      await audio.review(producers);
    };
    return { audio, peer, answers, second };
  }

  it("negotiates RED when packets are lost, and plain Opus again when none are", async () => {
    const { peer, answers, second } = connection([red]);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    await second(0);
    await second(3);
    expect(answers).toEqual([answer, withRedFirst(answer, offer)]);
    for (let more = 0; more < 30; more += 1) await second(0);
    expect(answers.slice(2)).toEqual([answer]);
  });

  it("negotiates RED when the gateway asks for packets", async () => {
    const { peer, answers, second } = connection([red]);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    await second(0);
    await second(0, 3);
    expect(answers).toEqual([answer, withRedFirst(answer, offer)]);
  });

  it("keeps RED when mediasoup-client negotiates meanwhile", async () => {
    const { peer, answers, second } = connection([red]);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    await second(0);
    await second(3);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    expect(answers.at(-1)).toBe(withRedFirst(answer, offer));
  });

  it("tries again if the browser refuses", async () => {
    const { peer, answers, second } = connection([red]);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    await second(0);
    peer.setLocalDescription = () => Promise.reject(new Error("busy"));
    await expect(second(3)).rejects.toThrow("busy");
    peer.setLocalDescription = async () => undefined;
    await second(0);
    expect(answers).toHaveLength(2);
  });

  it("tells the gateway of RED in audio alone", () => {
    const { audio } = connection([red]);
    const announced = audio.announced("audio", opus as types.RtpParameters).codecs;
    expect(announced.map(({ mimeType, payloadType }) => [mimeType, payloadType])).toEqual([
      ["audio/opus", 111],
      ["audio/red", 63],
    ]);
    expect(audio.announced("video", opus as types.RtpParameters)).toBe(opus);
  });

  it.each([
    ["of a gateway without RED", [], "Chrome111"],
    ["of Firefox", [red], "Firefox120"],
  ])("%s never changes", async (_, codecs, name) => {
    const { audio, peer, answers, second } = connection(codecs, name);
    await peer.setRemoteDescription({ type: "answer", sdp: answer });
    await second(0);
    await second(30);
    expect(answers).toEqual([answer]);
    expect(audio.announced("audio", opus as types.RtpParameters)).toBe(opus);
  });
});
