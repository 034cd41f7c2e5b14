/** Calls a function again and again that looks at the browser's statistics, and lets it cost only little time. */

/** From one look to the next. */
const LOOK_EVERY_MS = 200;
/** A look in a large call takes long. Then the pause before the next one is so many times longer, up to the limit. */
const PAUSE_FOR_EACH = 10;
const LONGEST_PAUSE_MS = 1_000;

export class Watch {
  readonly #look: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** The function never rejects. */
  constructor(look: () => Promise<void>) {
    this.#look = look;
    this.#wait(LOOK_EVERY_MS);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #wait(ms: number): void {
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#next(), ms);
  }

  async #next(): Promise<void> {
    const began = performance.now();
    await this.#look();
    const took = performance.now() - began;
    this.#wait(Math.min(Math.max(PAUSE_FOR_EACH * took, LOOK_EVERY_MS), LONGEST_PAUSE_MS));
  }
}
