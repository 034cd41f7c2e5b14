/**
 * A copy of the lists of channels, kept by a client that watches them. `protocol/mirror.py` is the same in Python.
 *
 * Give it each answer to `watch` and each `voice_state`. It is never wrong, only as late as the network.
 */
import type { Participant, Position, VoiceState, Watched, WatchedChannel } from "./protocol";

/** After this many, the positions of empty channels are forgotten. A page may stay open for weeks. */
const MOST_POSITIONS = 10_000;

export class Mirror {
  readonly #channels = new Map<string, Map<string, Participant>>();
  readonly #positions = new Map<string, Position>();

  /** The participants of each channel by user id. Only channels in which somebody is. */
  get channels(): ReadonlyMap<string, ReadonlyMap<string, Participant>> {
    return this.#channels;
  }

  /**
   * `after` for the next `watch` of a prefix, also over another connection.
   *
   * A `watch` before `join` must be short. So channels may be missing, and the answer has a snapshot of each of them.
   * Empty channels are always missing: the answer has no entry for a channel that is still empty.
   */
  after(mostCharacters = Infinity): Record<string, Position> {
    let characters = 0;
    const entries = [...this.#positions].filter(([channelId, position]) => {
      if (!this.#channels.has(channelId)) return false;
      characters += JSON.stringify({ [channelId]: position }).length;
      return characters <= mostCharacters;
    });
    return Object.fromEntries(entries);
  }

  /** Take the answer to `watch`. With a `prefix`, a channel that the answer does not have is empty. */
  start({ channels }: Watched, prefix?: string): void {
    const listed = new Set(channels.map(({ channelId }) => channelId));
    for (const channelId of [...this.#positions.keys()]) {
      if (prefix !== undefined && channelId.startsWith(prefix) && !listed.has(channelId)) this.#forget(channelId);
    }
    for (const state of channels) {
      if (state.events === undefined) this.#replace(state);
      for (const change of state.events ?? []) this.take(change);
    }
  }

  /** Take a change. Returns whether it changed a list: a change that is known already does not. */
  take({ type, channelId, userId, participant, epoch, revision }: VoiceState): boolean {
    const known = this.#positions.get(channelId);
    if (known && (epoch < known.epoch || (epoch === known.epoch && revision <= known.revision))) return false;
    this.#positions.set(channelId, { epoch, revision });
    const members = this.#channels.get(channelId) ?? new Map<string, Participant>();
    if (type === "user_left") members.delete(userId);
    else members.set(userId, participant);
    if (members.size > 0) this.#channels.set(channelId, members);
    else this.#channels.delete(channelId);
    this.#tidyUp();
    return true;
  }

  #replace({ channelId, epoch = 0, revision = 0, participants = [] }: WatchedChannel): void {
    this.#channels.delete(channelId);
    if (participants.length > 0) this.#channels.set(channelId, new Map(participants.map((each) => [each.userId, each])));
    this.#positions.set(channelId, { epoch, revision });
  }

  #forget(channelId: string): void {
    this.#channels.delete(channelId);
    this.#positions.delete(channelId);
  }

  #tidyUp(): void {
    if (this.#positions.size <= MOST_POSITIONS + this.#channels.size) return;
    for (const channelId of [...this.#positions.keys()]) if (!this.#channels.has(channelId)) this.#positions.delete(channelId);
  }
}
