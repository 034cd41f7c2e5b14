/** Notices that the machine has another network, or was asleep. */

export interface NetworkHandlers {
  /** Connections over the old network are probably lost. */
  changed(): void;
  /** Something happened that may be such a change. */
  doubtful(): void;
}

/** The browser's description of the network. Not every browser has one, and most give its `type` only on phones. */
export interface NetworkInformation extends EventTarget {
  readonly type?: string;
}

export interface NetworkSurroundings {
  readonly window: EventTarget;
  readonly document: EventTarget & Pick<Document, "visibilityState">;
  readonly connection: NetworkInformation | undefined;
  /** The wall clock in milliseconds. Other clocks may stand still while the machine sleeps. */
  now(): number;
}

const TICK_MS = 1_000;
/** A tick that is this late means that the machine slept. Ticks of a busy or hidden page are less late. */
const SLEPT_MS = 5_000;

/** Watch until the returned function is called. */
export function watchNetwork(handlers: NetworkHandlers, surroundings: NetworkSurroundings): () => void {
  const { window, document, connection, now } = surroundings;
  let [tickedAt, type] = [now(), connection?.type];
  const wokeUp = () => {
    const late = now() - tickedAt - TICK_MS;
    tickedAt = now();
    return late >= SLEPT_MS;
  };
  const timer = setInterval(() => wokeUp() && handlers.changed(), TICK_MS);
  const undo = [
    listen(window, "online", () => handlers.changed()),
    listen(window, "offline", () => handlers.doubtful()),
    // The browser froze the page, and with it all its timers.
    listen(document, "resume", () => handlers.changed()),
    listen(document, "visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      if (wokeUp()) handlers.changed();
      else handlers.doubtful();
    }),
    // Chromium also reports that its estimate of the speed changed.
    listen(connection, "change", () => {
      if (connection?.type === type) return handlers.doubtful();
      type = connection?.type;
      handlers.changed();
    }),
  ];
  return () => {
    clearInterval(timer);
    for (const each of undo) each();
  };
}

function listen(target: EventTarget | undefined, event: string, handler: () => void): () => void {
  target?.addEventListener(event, handler);
  return () => target?.removeEventListener(event, handler);
}
