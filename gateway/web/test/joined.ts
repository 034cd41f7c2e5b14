import { FakeMediaStreamTrack } from "fake-mediastreamtrack";

import type { Participant, Source } from "../src/protocol";
import { Session, type Presence, type SessionHandlers } from "../src/session";
import { Signalling, type Ended } from "../src/signalling";
import { Views } from "../src/views";
import { createDevice, FakeGateway, settle } from "./fakes";

/** `settings` are the size that the browser reports. */
export function track(kind: "audio" | "video", settings: MediaTrackSettings = {}): MediaStreamTrack {
  const fake = new FakeMediaStreamTrack({ kind }) as unknown as MediaStreamTrack;
  fake.getSettings = () => settings;
  return fake;
}

/** The user "me" joins a channel that has these participants. */
export async function join(others: Participant[], gateway = new FakeGateway(), connects = true) {
  gateway.participants = others;
  const shown: Presence[] = [];
  const ends: Ended[] = [];
  const refused: Source[] = [];
  const log: string[] = [];
  const handlers: SessionHandlers = {
    changed: (presence) => shown.push(presence),
    joined: ({ userId }) => log.push(`${userId} joined`),
    left: ({ userId }) => log.push(`${userId} left`),
    notSent: (source) => refused.push(source),
    moved: (channelId) => log.push(`moved to ${channelId}`),
    unusable: (error) => log.push(`unusable: ${String(error)}`),
  };
  const views = new Views();
  let session: Session | undefined;
  const opened = async (signalling: Signalling) => {
    const data = { channelId: "lobby", username: "Me" };
    session = await Session.join(signalling, await createDevice(connects), data, handlers, views);
  };
  const signalling: Signalling = new Signalling(
    "ws://gateway/ws",
    {
      opened: () => void opened(signalling),
      event: (event) => session?.handle(event),
      ended: (ended) => ends.push(ended),
    },
    gateway.open,
  );
  await settle();
  if (!session) throw new Error("not joined");
  const now = () => shown.at(-1) as Presence;
  return { gateway, session, signalling, views, shown, ends, refused, log, now };
}

export const heardAndSeen = ({ media }: Presence) => media.map(({ userId, source }) => `${userId} ${source}`);
export const present = ({ participants }: Presence) => participants.map(({ userId }) => userId);
