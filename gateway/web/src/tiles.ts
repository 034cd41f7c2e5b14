/** Which tiles the page shows, and how large they can be. */
import type { ConnectionQuality, Participant, Source } from "./protocol";
import type { RoomState } from "./room";
import type { Presence } from "./session";

export interface TileContent {
  readonly key: string;
  readonly userId: string;
  readonly username: string;
  readonly kind: "camera" | "screen";
  readonly isSelf: boolean;
  readonly isMuted: boolean;
  /** Whether a moderator has deafened this person. */
  readonly isDeafened: boolean;
  readonly isSpeaking: boolean;
  /** Whether this person's media does not get through for the moment. */
  readonly isReconnecting: boolean;
  /** Whether the gateway has paused the video, because the network carries no more. */
  readonly isStarved: boolean;
  /** How good this person's connection is. A shared screen has none of its own. */
  readonly quality?: ConnectionQuality | undefined;
  /** The sources of this tile that a moderator can mute now, or has muted. */
  readonly moderated: readonly ModeratedSource[];
  readonly track?: MediaStreamTrack | undefined;
}

export interface ModeratedSource {
  readonly source: Source;
  readonly isMuted: boolean;
}

/** Shared screens first, then the others in the order of joining, then the person's own tile. */
export function tilesOf(state: RoomState): TileContent[] {
  const { participants, self } = state.presence;
  const others = participants.filter(({ userId }) => userId !== self);
  const cameras = others.map((each) => remoteTile(state, each, "camera"));
  const screens = others.filter((each) => sends(each, "screen")).map((each) => remoteTile(state, each, "screen"));
  const isSharing = state.local.screen.status === "on";
  return [...screens, ...(isSharing ? [ownTile(state, "screen")] : []), ...cameras, ownTile(state, "camera")];
}

function remoteTile(state: RoomState, participant: Participant, kind: "camera" | "screen"): TileContent {
  const { userId, username } = participant;
  const isShown = sends(participant, kind) && !isDeafened(state.presence, state.presence.self);
  const media = state.presence.media.find((each) => each.userId === userId && each.source === kind);
  const isMuted = !sends(participant, "microphone");
  return {
    key: `${userId} ${kind}`,
    userId,
    username,
    kind,
    isSelf: false,
    isMuted,
    isDeafened: participant.deafened ?? false,
    // A mute changes the list at once. The list of speakers may name a muted person a moment longer.
    isSpeaking: !isMuted && state.presence.speakers.includes(userId),
    isReconnecting: state.presence.stalled.includes(userId),
    isStarved: isShown && (media?.isStarved ?? false),
    quality: kind === "camera" ? qualityOf(state.presence, userId) : undefined,
    moderated: moderatedOf(participant, kind),
    // The track of a paused camera, or of any camera while nothing is received, would keep showing its last frame.
    track: isShown ? media?.track : undefined,
  };
}

function ownTile({ presence, username, local, ended }: RoomState, kind: "camera" | "screen"): TileContent {
  const { self, speakers, reconnecting } = presence;
  const isMuted = local.microphone.status !== "on";
  return {
    // The person's own camera shows before the gateway gives a user id. No user id contains an @.
    key: `@self ${kind}`,
    userId: self,
    username,
    kind,
    isSelf: true,
    isMuted,
    isDeafened: isDeafened(presence, self),
    isSpeaking: !isMuted && speakers.includes(self),
    isReconnecting: reconnecting || ended !== undefined,
    isStarved: false,
    quality: kind === "camera" ? qualityOf(presence, self) : undefined,
    moderated: [],
    track: local[kind].stream?.getVideoTracks()[0],
  };
}

function isDeafened({ participants }: Presence, userId: string): boolean {
  return participants.some((each) => each.userId === userId && each.deafened);
}

/** A member of whom the gateway has said nothing counts as excellent. Else the mark would depend on who joined first. */
function qualityOf({ participants, qualities }: Presence, userId: string): ConnectionQuality | undefined {
  const isListed = participants.some((each) => each.userId === userId);
  return qualities.get(userId) ?? (isListed ? "excellent" : undefined);
}

/** The tiles that get most of the space, and those beside them. Without a pinned tile, shared screens get the space. */
export function arranged(tiles: readonly TileContent[], pinnedKey: string | undefined): Record<"stage" | "others", TileContent[]> {
  const isPinned = tiles.some(({ key }) => key === pinnedKey);
  const isOnStage = ({ key, kind }: TileContent) => (isPinned ? key === pinnedKey : kind === "screen");
  return { stage: tiles.filter(isOnStage), others: tiles.filter((tile) => !isOnStage(tile)) };
}

function moderatedOf(participant: Participant, kind: "camera" | "screen"): ModeratedSource[] {
  const sources: readonly Source[] = kind === "screen" ? ["screen"] : ["microphone", "camera"];
  const muted = participant.mutedSources ?? [];
  const isShown = (source: Source) => muted.includes(source) || sends(participant, source);
  return sources.filter(isShown).map((source) => ({ source, isMuted: muted.includes(source) }));
}

/** Whether, by the list, this participant is sending `source` now. */
export function sends({ producers }: Participant, source: Source): boolean {
  return producers.some((producer) => producer.source === source && !producer.paused);
}

const WIDEST = 16 / 9;
/** The narrowest tiles, as width by height. On an upright window tiles may crop more of a video's sides. */
const NARROWEST = { wide: 4 / 3, upright: 3 / 4 };
const SMALLEST_WIDTH = 140;

export interface TileSize {
  readonly width: number;
  readonly height: number;
}

/**
 * The size at which `count` tiles fill `space` best, in CSS pixels.
 *
 * If they would become too small, they get the smallest useful width, and the grid scrolls.
 */
export function tileSize(count: number, space: TileSize, gap: number): TileSize {
  const narrowest = space.width > space.height ? NARROWEST.wide : NARROWEST.upright;
  let best: TileSize = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const width = (space.width - gap * (columns - 1)) / columns;
    const height = (space.height - gap * (rows - 1)) / rows;
    const tile = { width: Math.min(width, height * WIDEST), height: Math.min(height, width / narrowest) };
    if (tile.width * tile.height > best.width * best.height) best = tile;
  }
  if (best.width >= SMALLEST_WIDTH) return { width: Math.floor(best.width), height: Math.floor(best.height) };
  const columns = Math.max(1, Math.floor((space.width + gap) / (SMALLEST_WIDTH + gap)));
  const width = Math.max(SMALLEST_WIDTH, Math.floor((space.width - gap * (columns - 1)) / columns));
  return { width, height: Math.floor(width / WIDEST) };
}
