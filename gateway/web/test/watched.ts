/** Lists of channels and their changes, as the gateway sends them to somebody who watches. */
import type { VoiceState, WatchedChannel } from "../src/protocol";
import { participant } from "./fakes";

export function snapshot(channelId: string, names: string[], revision: number, epoch = 7): WatchedChannel {
  return { channelId, epoch, revision, participants: names.map((name) => participant(name)), snapshot: true };
}

export function change(kind: "joined" | "left", name: string, revision: number, more: Partial<VoiceState> = {}): VoiceState {
  const reason = kind === "left" ? { reason: "left" as const } : {};
  const who = { userId: name, username: name, participant: participant(name) };
  return { type: `user_${kind}`, channelId: "lobby", epoch: 7, revision, count: 0, ...who, ...reason, ...more };
}
