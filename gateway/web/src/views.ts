/** Which videos the page shows, and how large. The tiles write it, and `Inbound` asks the gateway for no more. */
import type { Source } from "./protocol";

/** A video's tile on the page: its size in pixels of the screen, and whether the person has pinned it. */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly isPinned: boolean;
}

export class Views {
  readonly #views = new Map<string, View | "hidden">();
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Undefined if no tile has said anything. */
  of(userId: string, source: Source): View | "hidden" | undefined {
    return this.#views.get(keyOf(userId, source));
  }

  set(userId: string, source: Source, view: View | "hidden"): void {
    this.#views.set(keyOf(userId, source), view);
    this.#changed();
  }

  /** The tile is gone. */
  remove(userId: string, source: Source): void {
    this.#views.delete(keyOf(userId, source));
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function keyOf(userId: string, source: Source): string {
  return `${userId} ${source}`;
}
