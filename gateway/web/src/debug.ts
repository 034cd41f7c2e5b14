/**
 * `window.__room` lets tests and curious people look at the call. Nothing on it changes the call.
 *
 * - `state()` returns what the page shows, as plain data.
 * - `stats()` resolves to `{inbound, outbound}`: the browser's own statistics of every stream, with `userId` and
 *   `source` added. mediasoup-client hides the peer connections, so a page cannot get them elsewhere.
 * - `gatewayStats()` resolves to the answer to the request `stats`.
 */
import type { Stats } from "./protocol";
import type { Room } from "./room";
import type { RoomStats } from "./stats";

export interface RoomForTests {
  state(): unknown;
  stats(): Promise<RoomStats>;
  gatewayStats(): Promise<Stats | undefined>;
}

declare global {
  interface Window {
    __room?: RoomForTests;
  }
}

/** Set `window.__room`. Returns a function that removes it. */
export function showToTests(room: Room): () => void {
  window.__room = Object.freeze({
    state: () => describe(room),
    stats: () => room.stats(),
    gatewayStats: () => room.gatewayStats(),
  });
  return () => {
    delete window.__room;
  };
}

function describe(room: Room): unknown {
  const { phase, channelId, username, presence, local, ended } = room.getState();
  const { self, participants, speakers, flowing, reconnecting, stalled } = presence;
  const media = presence.media.map(({ track: _, ...others }) => others);
  const qualities = Object.fromEntries(presence.qualities);
  const devices = Object.entries(local).map(([device, { status, trouble }]) => [device, { status, trouble }]);
  const own = Object.fromEntries(devices) as unknown;
  const shown = { self, participants, media, speakers, flowing, reconnecting, stalled, qualities };
  return { phase, channelId, username, ...shown, local: own, ended };
}
