/** What the sidebar shows: the channels, and the people in them. */
import type { ListedChannel } from "./directory";
import type { Participant } from "./protocol";
import type { RoomState } from "./room";
import { sends } from "./tiles";

/** The page shows no more channels, nor people of a channel, than this. */
const MOST_CHANNELS = 200;
const MOST_PEOPLE = 25;
/** A screen reader reads out this many names with the channel. */
const MOST_NAMES = 10;

export interface ShownPerson {
  readonly userId: string;
  readonly username: string;
  readonly isMuted: boolean;
  /** Whether a moderator has deafened this person. */
  readonly isDeafened: boolean;
  /** Only known of people in the own channel. */
  readonly isSpeaking: boolean;
}

export interface ShownChannel {
  readonly channelId: string;
  /** Whether the person is in it. */
  readonly isOwn: boolean;
  /** The name of its button for screen readers. */
  readonly label: string;
  readonly count: number;
  readonly people: readonly ShownPerson[];
}

/** The channels to show, and how many more there are. */
export interface ShownChannels {
  readonly channels: readonly ShownChannel[];
  readonly more: number;
  /** How many people are in all channels. */
  readonly count: number;
}

export function shownChannels(listed: readonly ListedChannel[], state: RoomState): ShownChannels {
  const lists = withOwn(listed, state);
  return {
    channels: lists.slice(0, MOST_CHANNELS).map((each) => shown(each, state)),
    more: Math.max(0, lists.length - MOST_CHANNELS),
    count: lists.reduce((sum, { participants }) => sum + participants.length, 0),
  };
}

/** During a call, the tiles and the sidebar must show the same people in the own channel. */
function withOwn(listed: readonly ListedChannel[], { phase, channelId, presence }: RoomState): readonly ListedChannel[] {
  if (phase !== "joined" || presence.participants.length === 0) return listed;
  const own = { channelId, participants: presence.participants };
  const before = listed.filter((each) => each.channelId < channelId);
  return [...before, own, ...listed.filter((each) => each.channelId > channelId)];
}

function shown({ channelId, participants }: ListedChannel, state: RoomState): ShownChannel {
  const isOwn = isInCall(state) && channelId === state.channelId;
  return {
    channelId,
    isOwn,
    label: labelOf(channelId, participants, isOwn),
    count: participants.length,
    people: participants.slice(0, MOST_PEOPLE).map((each) => person(each, isOwn ? state.presence.speakers : [])),
  };
}

function person(participant: Participant, speakers: readonly string[]): ShownPerson {
  const { userId, username } = participant;
  const isMuted = !sends(participant, "microphone");
  const isDeafened = participant.deafened ?? false;
  return { userId, username, isMuted, isDeafened, isSpeaking: !isMuted && speakers.includes(userId) };
}

function labelOf(channelId: string, participants: readonly Participant[], isOwn: boolean): string {
  const names = participants.slice(0, MOST_NAMES).map(({ username }) => username).join(", ");
  const others = participants.length - MOST_NAMES;
  const people = `${countWords(participants.length)}: ${names}${others > 0 ? ` and ${others} more` : ""}`;
  return isOwn ? `${channelId}, your channel, ${people}` : `Join ${channelId}, ${people}`;
}

export function countWords(count: number): string {
  return count === 1 ? "1 person" : `${count} people`;
}

/** Whether the person is in a channel, or on the way into it. */
export function isInCall({ phase }: RoomState): boolean {
  return phase !== "idle" && phase !== "ended";
}

/** Whether the call needs its connection now, so that nothing else should connect. */
export function needsConnection({ phase, presence }: RoomState): boolean {
  return phase === "joining" || phase === "waiting" || presence.reconnecting;
}
