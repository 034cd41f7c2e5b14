/**
 * When to open another WebSocket for a session: a state machine without sockets, timers and clocks.
 *
 * After `begin` it wants one attempt after the other, until `end`. All times are milliseconds on one clock.
 */

/** The waits from the beginning of an attempt that failed to the next one. The last one repeats. */
const BACK_OFF_MS = [300, 600, 1_200, 2_000];
/** How long an attempt may take before the next one begins. If its first packet is lost, it takes a second longer. */
const LEAST_PATIENCE_MS = 500;
const MOST_PATIENCE_MS = 4_000;
/** TCP, TLS and the upgrade take five round trips. */
const ROUND_TRIPS = 8;
/** Every third attempt gets three times as long, because the round trip may have grown. */
const LONG_EVERY = 3;
/** A gateway keeps a session for at most this long after it has heard its WebSocket. */
const SESSION_LIVES_MS = 20_000;
/** After a long sleep the session is over. Only an answer of the gateway can say so. */
const LEAST_TRYING_MS = 10_000;

export class Resumption {
  readonly #random: () => number;
  #beganAt: number | undefined;
  #attempts = 0;
  #startedAt = 0;
  #dueAt = Infinity;

  /** `random` (0 to 1) adds up to a quarter to a wait, so that not everybody comes back at once. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Whether attempts are wanted. */
  get isRunning(): boolean {
    return this.#beganAt !== undefined;
  }

  /** The time of the next attempt. Infinite if none is wanted. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Something suggests that the WebSocket is lost. Attempts that run already go on. */
  begin(now: number): void {
    if (this.isRunning) return;
    this.#beganAt = this.#dueAt = now;
    this.#attempts = 0;
  }

  /** The network changed. An attempt over the old network may wait in vain, so the next one begins now. */
  hurry(now: number): void {
    this.#beganAt ??= now;
    this.#dueAt = now;
    this.#attempts = 0;
  }

  /** An attempt began. If it is not done in time, the next one begins beside it or in its place. */
  started(now: number, roundTripMs: number): void {
    this.#attempts += 1;
    this.#startedAt = now;
    const patience = Math.min(Math.max(ROUND_TRIPS * roundTripMs, LEAST_PATIENCE_MS), MOST_PATIENCE_MS);
    this.#dueAt = now + (this.#attempts % LONG_EVERY === 0 ? 3 * patience : patience);
  }

  /** The newest attempt failed. */
  failed(now: number): void {
    if (!this.isRunning) return;
    const wait = BACK_OFF_MS[Math.min(this.#attempts, BACK_OFF_MS.length) - 1] ?? 0;
    this.#dueAt = Math.max(now, this.#startedAt + wait * (1 + this.#random() / 4));
  }

  /** The time at which the session must be over. `heardAt` is the time at which the gateway was last heard. */
  overAt(heardAt: number): number {
    return this.#beganAt === undefined ? Infinity : Math.max(heardAt + SESSION_LIVES_MS, this.#beganAt + LEAST_TRYING_MS);
  }

  /** Whether the old WebSocket turned out to work, while no attempt succeeds. */
  isNeedless(now: number, heardAt: number): boolean {
    return this.#beganAt !== undefined && now >= this.#beganAt + LEAST_TRYING_MS && heardAt >= this.#beganAt + LEAST_TRYING_MS / 2;
  }

  end(): void {
    this.#beganAt = undefined;
    this.#dueAt = Infinity;
  }
}
