/**
 * What the gateway should send of one video, as its tile needs it: a state machine without a browser, timers and clocks.
 *
 * All times are milliseconds on one clock.
 */
import type { types } from "mediasoup-client";

import type { Layers } from "./protocol";
import type { View } from "./views";

/** A tile that is hidden for a shorter time keeps its video. */
const PAUSE_AFTER_MS = 2_000;
/** While a person resizes the window, sizes change many times. */
const RESIZED_AFTER_MS = 300;
/** A picture may be shown so many times larger than it is. */
const STRETCH = 1.35;
/** Below this height in pixels of the screen, half of the frames are enough. */
const TINY = 100;
/** The size of the best of so many encodings. A page of this gateway sends three only of a large picture. */
const BEST_OF: readonly Size[] = [{ width: 640, height: 360 }, { width: 640, height: 360 }, { width: 1280, height: 720 }];

/** When the network is slow, the gateway lets a video of high priority have its bandwidth first. */
const PRIORITY = { pinned: 255, other: 1 };

type Size = Pick<View, "width" | "height">;

/** What has to change at the gateway, the pause last. */
export interface Change {
  readonly priority?: number;
  readonly layers?: Layers;
  readonly paused?: boolean;
}

/** The highest layers of a stream, by the parameters with which the gateway sends it. */
export function topLayers({ encodings }: types.RtpParameters): Layers {
  const [, spatial = "1", temporal = "1"] = /^[LS](\d+)T(\d+)/.exec(encodings?.[0]?.scalabilityMode ?? "") ?? [];
  return { spatial: Number(spatial) - 1, temporal: Number(temporal) - 1 };
}

/** The lowest layers that fill a tile. A tile that crops the picture needs a larger one. */
export function layersFor(view: Size, top: Layers): Layers {
  const best = BEST_OF[top.spatial] ?? (BEST_OF.at(-1) as Size);
  const needed = Math.max(view.width / best.width, view.height / best.height) / STRETCH;
  const tooLarge = Math.floor(Math.log2(1 / needed));
  const spatial = top.spatial - Math.min(Math.max(tooLarge, 0), top.spatial);
  return { spatial, temporal: view.height < TINY ? Math.min(1, top.temporal) : top.temporal };
}

export class Demand {
  readonly #top: Layers;
  #layers: Layers;
  #priority = PRIORITY.other;
  /** The gateway makes each consumer paused. */
  #paused = true;
  #hiddenAt: number | undefined;
  #resizedAt: number | undefined;

  /** For a stream with these highest layers. */
  constructor(top: Layers) {
    this.#top = this.#layers = top;
  }

  /** Whether nothing should come from the gateway. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** When to look next, even if the tile stays as it is. Infinite if there is nothing to wait for. */
  get dueAt(): number {
    const pauseAt = this.#hiddenAt === undefined || this.#paused ? Infinity : this.#hiddenAt + PAUSE_AFTER_MS;
    return Math.min(pauseAt, this.#resizedAt === undefined ? Infinity : this.#resizedAt + RESIZED_AFTER_MS);
  }

  /** The tile is like this now. Returns what to tell the gateway, which counts as told from now on. */
  look(view: View | "hidden" | undefined, now: number): Change {
    const wasPaused = this.#paused;
    this.#hiddenAt = view === "hidden" ? (this.#hiddenAt ?? now) : undefined;
    if (this.#hiddenAt === undefined) this.#paused = false;
    else if (now >= this.#hiddenAt + PAUSE_AFTER_MS) this.#paused = true;
    // A hidden tile has no size to wait for.
    if (view === "hidden") this.#resizedAt = undefined;
    const layers = view === "hidden" ? undefined : this.#newLayers(view, wasPaused, now);
    const priority = typeof view === "object" ? this.#newPriority(view) : undefined;
    const paused = this.#paused === wasPaused ? undefined : this.#paused;
    return {
      ...(priority !== undefined && { priority }),
      ...(layers && { layers }),
      ...(paused !== undefined && { paused }),
    };
  }

  #newPriority({ isPinned }: View): number | undefined {
    const priority = isPinned ? PRIORITY.pinned : PRIORITY.other;
    if (priority === this.#priority) return undefined;
    this.#priority = priority;
    return priority;
  }

  /** Layers to tell the gateway. A change has to last for a moment, unless nothing is shown yet. */
  #newLayers(view: View | undefined, atOnce: boolean, now: number): Layers | undefined {
    const layers = view ? layersFor(view, this.#top) : this.#layers;
    const isSame = layers.spatial === this.#layers.spatial && layers.temporal === this.#layers.temporal;
    this.#resizedAt = isSame ? undefined : (this.#resizedAt ?? now);
    if (this.#resizedAt === undefined || (!atOnce && now < this.#resizedAt + RESIZED_AFTER_MS)) return undefined;
    this.#resizedAt = undefined;
    this.#layers = layers;
    return layers;
  }
}
