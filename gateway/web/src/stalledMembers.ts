/**
 * Whose media stands still, although they send it by the list: a state machine without a browser, timers and clocks.
 *
 * Only a microphone and a camera send all the time. An encoder sends nothing of a screen on which nothing moves.
 */

/** Discontinuous sound sends every 400 ms. */
const STALLED_AFTER_MS = 1_500;

/** One received stream that is not paused, with the number of its packets so far. */
export interface ReceivedStream {
  readonly userId: string;
  readonly producerId: string;
  readonly packets: number;
}

interface Progress {
  packets: number;
  at: number;
}

export class StalledMembers {
  #progress = new Map<string, Progress>();
  #stalled: readonly string[] = [];

  /** The user ids of the members whose streams all stand still. A new array only if they changed. */
  get userIds(): readonly string[] {
    return this.#stalled;
  }

  /** The streams as of `now`, in milliseconds. Returns whether the stalled members changed. */
  update(streams: readonly ReceivedStream[], now: number): boolean {
    const progress = new Map<string, Progress>();
    const stalled = new Set<string>();
    const moving = new Set<string>();
    for (const { userId, producerId, packets } of streams) {
      const before = this.#progress.get(producerId);
      const each = before && packets === before.packets ? before : { packets, at: now };
      progress.set(producerId, each);
      // A stream without any packet yet is on its way.
      const isStalled = packets > 0 && now - each.at >= STALLED_AFTER_MS;
      (isStalled ? stalled : moving).add(userId);
    }
    this.#progress = progress;
    return this.#show([...stalled].filter((userId) => !moving.has(userId)));
  }

  /** Nothing arrives from anybody, so nothing can be said of one member. */
  forget(): boolean {
    this.#progress.clear();
    return this.#show([]);
  }

  #show(userIds: readonly string[]): boolean {
    if (userIds.length === this.#stalled.length && userIds.every((each, index) => each === this.#stalled[index])) return false;
    this.#stalled = userIds;
    return true;
  }
}
