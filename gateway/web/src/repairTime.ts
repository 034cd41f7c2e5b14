/**
 * Lets a video wait for lost packets that are sent again, while its network loses some.
 *
 * A browser shows each picture as soon as it can. A lost packet comes again a round trip later. Of a video with temporal
 * layers, a browser rather skips pictures than show one late. With some delay, the repaired picture comes in time.
 */

/** The time from the gap to the browser's request, and for the gateway's answer, beside the round trip. */
const REPAIR_MS = 100;
/** A little more than one round trip, because it varies. */
const ROUND_TRIPS = 1.25;
/** Nobody talks well with a longer delay. */
const LONGEST_MS = 400;
/** The delay stays for so long after the last request. Each change of it is a stumble in the picture. */
const KEEP_MS = 20_000;
/** Smaller changes are not worth that. */
const CHANGE_MS = 20;

export class RepairTime {
  #asked: number | undefined;
  #until = -Infinity;
  #delayMs: number | null = null;

  /**
   * The delay of the video, in milliseconds. Null for the browser's own choice. `asked` counts the browser's requests for
   * lost packets.
   */
  next(asked: number, roundTripMs: number, now: number): number | null {
    const isLossy = this.#asked !== undefined && asked > this.#asked;
    this.#asked = asked;
    if (isLossy) this.#until = now + KEEP_MS;
    if (now >= this.#until) return (this.#delayMs = null);
    const wanted = Math.min(REPAIR_MS + ROUND_TRIPS * roundTripMs, LONGEST_MS);
    if (this.#delayMs === null || Math.abs(wanted - this.#delayMs) >= CHANGE_MS) this.#delayMs = Math.round(wanted);
    return this.#delayMs;
  }
}

/** Delay a receiver, if the browser can do that. */
export function delay(receiver: RTCRtpReceiver | undefined, delayMs: number | null): void {
  const known = receiver as (RTCRtpReceiver & { jitterBufferTarget?: number | null }) | undefined;
  if (known && "jitterBufferTarget" in known && known.jitterBufferTarget !== delayMs) known.jitterBufferTarget = delayMs;
}
