/**
 * Plays the voices of others, and notices when the browser refuses to.
 *
 * Browsers may play no sound until the person has clicked, tapped or pressed a key on the page. A page learns about it
 * only when `play()` rejects. After a click it may try again.
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

  /** Play this element now, and again in `turnOn()`. Returns a function that removes it. */
  add(element: Playable): () => void {
    this.#elements.add(element);
    void this.#play(element);
    return () => {
      this.#elements.delete(element);
      if (this.#elements.size === 0) this.#setBlocked(false);
    };
  }

  /** Play every element again. Call this from a click or a key press, because the browser waits for one. */
  async turnOn(): Promise<void> {
    this.#setBlocked(false);
    await Promise.all([...this.#elements].map((element) => this.#play(element)));
  }

  async #play(element: Playable): Promise<void> {
    try {
      await element.play();
    } catch (error) {
      // Other errors are harmless: the element was removed, or its track was replaced.
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
