/**
 * When to restart ICE of a transport: a state machine without a browser, timers and clocks.
 *
 * A browser takes 5 s and more to notice that a path is dead. So this machine also watches whether anything arrives.
 * All times are milliseconds on one clock.
 */
import type { types } from "mediasoup-client";

import type { Measurement } from "./measurement";

/** A path is silent if nothing arrives for so many times the second longest recent pause. */
const PAUSES = 3;
/** Discontinuous sound sends every 400 ms. An idle transport gets a STUN answer every 2.5 s (Chromium) to 6 s (Firefox). */
const LEAST_SILENCE_MS = 800;
const MOST_SILENCE_MS = 7_000;
/** A long pause counts for this long. */
const PAUSE_COUNTS_MS = 10_000;
/**
 * The waits from one restart to the next, while the restarts do not help. The last one repeats. Chromium learns a new
 * address of the machine up to 2 s late. A restart that runs by then still finds the address, so nothing may interrupt
 * it.
 */
const RESTART_AFTER_MS = [2_500, 3_000, 4_500, 6_000];
/** Shortest time between two restarts. Without a network interface, Firefox fails each within milliseconds. */
const LEAST_BETWEEN_MS = 1_000;
/**
 * The waits from one restart to the next while media flows over TCP. A restart makes the browser try UDP again, for as
 * long as it keeps a candidate pair that does not answer: some 15 s.
 */
const TRY_UDP_AFTER_MS = [8_000, 8_000, 8_000, 8_000, 8_000, 8_000, 30_000, 60_000, 120_000, 300_000];
/** The same in a network over which no UDP has ever come. */
const TRY_FIRST_UDP_AFTER_MS = [30_000, 60_000, 120_000, 300_000];
/** Fewer pauses than this say nothing yet. */
const LEAST_PAUSES = 6;

export class PathHealth {
  #state: types.ConnectionState = "new";
  #wasConnected = false;
  #measured: Measurement | undefined;
  #arrivedAt = 0;
  #pauses: { readonly at: number; readonly ms: number }[] = [];
  #quietFor = 0;
  #mustRestart = false;
  #restartedAt = -Infinity;
  #restarts = 0;
  #overTcpSince = Infinity;
  #udpTries = 0;
  #hadUdp = false;

  /** Whether the transport has been connected. */
  get wasConnected(): boolean {
    return this.#wasConnected;
  }

  /** Whether media probably does not get through. False before the transport was connected for the first time. */
  get isTroubled(): boolean {
    return this.#wasConnected && (this.#state !== "connected" || this.#quietFor >= this.#silence);
  }

  /** Whether it is unusually quiet, perhaps not long enough for a restart yet. */
  get isDoubtful(): boolean {
    return this.#wasConnected && (this.isTroubled || this.#quietFor >= this.#silence / 2);
  }

  /** The time of the next restart. Infinite if none is needed. */
  get restartAt(): number {
    if (!this.#wasConnected || this.#state === "closed") return Infinity;
    if (this.#mustRestart) return this.#restartedAt + LEAST_BETWEEN_MS;
    if (this.isTroubled) return this.#restartedAt + waitIn([LEAST_BETWEEN_MS, ...RESTART_AFTER_MS], this.#restarts);
    const waits = this.#hadUdp ? TRY_UDP_AFTER_MS : TRY_FIRST_UDP_AFTER_MS;
    return Math.max(this.#restartedAt, this.#overTcpSince) + waitIn(waits, this.#udpTries);
  }

  stateChanged(state: types.ConnectionState, now: number): void {
    this.#state = state;
    if (state !== "connected") return;
    this.#wasConnected = true;
    this.#restarts = 0;
    this.#arrived(now);
  }

  /** The statistics as of `now`. Without any, only the browser's state counts. */
  measured(measurement: Measurement | undefined, now: number): void {
    const before = this.#measured;
    this.#measured = measurement;
    if (measurement) this.#follow(measurement.protocol, now);
    if (!measurement || !before) return this.#arrived(now);
    const hasMedia = measurement.media > before.media;
    if (hasMedia || (measurement.pair === before.pair && measurement.arrived > before.arrived)) {
      // The path answers, but no media comes: nobody sends any. So the pauses so far say nothing.
      if (this.isTroubled && !hasMedia) this.#pauses = [];
      this.#pauses.push({ at: now, ms: now - this.#arrivedAt });
      this.#pauses = this.#pauses.filter(({ at }) => now - at < PAUSE_COUNTS_MS);
      this.#arrived(now);
    }
    this.#quietFor = now - this.#arrivedAt;
  }

  /** Less or more media is to come from now on, so the pauses so far say nothing. */
  expectOther(now: number): void {
    if (this.isTroubled) return;
    this.#pauses = [];
    this.#arrived(now);
  }

  /** The machine has another network, or was asleep. */
  networkChanged(): void {
    this.#mustRestart = this.#wasConnected;
    this.#restarts = this.#udpTries = 0;
    this.#hadUdp = false;
  }

  restarted(now: number): void {
    if (this.isTroubled || this.#mustRestart) this.#restarts += 1;
    else this.#udpTries += 1;
    this.#mustRestart = false;
    this.#restartedAt = now;
  }

  /** How long a pause may be before the path counts as silent. */
  get #silence(): number {
    // A browser whose counters never move says nothing about the path.
    if (this.#pauses.length === 0) return Infinity;
    if (this.#pauses.length < LEAST_PAUSES) return MOST_SILENCE_MS;
    // The longest pause may have been a hiccup.
    const [, long = 0] = this.#pauses.map(({ ms }) => ms).sort((one, other) => other - one);
    return Math.min(Math.max(PAUSES * long, LEAST_SILENCE_MS), MOST_SILENCE_MS);
  }

  #arrived(now: number): void {
    this.#arrivedAt = now;
    this.#quietFor = 0;
    if (this.#state === "connected") this.#restarts = 0;
  }

  #follow(protocol: Measurement["protocol"], now: number): void {
    if (protocol === "tcp") return void (this.#overTcpSince = Math.min(this.#overTcpSince, now));
    this.#overTcpSince = Infinity;
    this.#udpTries = 0;
    this.#hadUdp = true;
  }
}

function waitIn(waits: readonly number[], count: number): number {
  return waits[Math.min(count, waits.length - 1)] ?? Infinity;
}
