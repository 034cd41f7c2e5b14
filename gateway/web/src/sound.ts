/**
 * Playing what others say, and knowing when the browser does not let us.
 *
 * Browsers play no sound before the person has touched the page, not even on a page that captures. The refusal shows
 * only in what `play()` answers; a touch later on cures it.
 */
export type Playable = Pick<HTMLMediaElement, "play">;

export class Sound {
  readonly #elements = new Set<Playable>();
  readonly #listeners = new Set<() => void>();
  #isBlocked = false;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly isBlocked = (): boolean => this.#isBlocked;

  /** Play this element now, and again when sound is turned on. Returns what takes it out again. */
  add(element: Playable): () => void {
    this.#elements.add(element);
    void this.#play(element);
    return () => {
      this.#elements.delete(element);
      if (this.#elements.size === 0) this.#setBlocked(false);
    };
  }

  /** To be called from a click or a key press: that is what the browser waits for. */
  async turnOn(): Promise<void> {
    this.#setBlocked(false);
    await Promise.all([...this.#elements].map((element) => this.#play(element)));
  }

  async #play(element: Playable): Promise<void> {
    try {
      await element.play();
    } catch (error) {
      // Any other error (the element went, its track was replaced) is no refusal.
      const isRefused = error instanceof Error && error.name === "NotAllowedError";
      if (isRefused && this.#elements.has(element)) this.#setBlocked(true);
    }
  }

  #setBlocked(isBlocked: boolean): void {
    if (this.#isBlocked === isBlocked) return;
    this.#isBlocked = isBlocked;
    for (const listener of this.#listeners) listener();
  }
}
