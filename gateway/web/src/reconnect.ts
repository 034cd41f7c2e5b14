/** What to do after a connection has ended: stop, join again, or join again later. The protocol says which. */
import { nextStep, type ErrorCode } from "./protocol";
import type { Ended } from "./signalling";

/** An error in answer to `join` is treated like the close code for the same cause. */
const CLOSE_CODE_OF: Partial<Record<ErrorCode, number>> = {
  unauthenticated: 4401,
  forbidden: 4403,
  locked: 4403,
  conflict: 4409,
  limit_exceeded: 4429,
  rate_limited: 4429,
  media_failed: 4500,
  timeout: 4500,
  internal: 4500,
};

export function closeCodeOf(error: ErrorCode): number {
  return CLOSE_CODE_OF[error] ?? 4400;
}

const FIRST_MS = { join_again_at_once: 250, join_again: 1_000, join_again_later: 5_000 };
const LONGEST_MS = 30_000;
const RESTARTING = 1012;

/**
 * How many milliseconds to wait before the next attempt, or undefined if there must be none.
 *
 * The wait doubles with every `attempt` (0 is the first), up to 30 s. `random` (0 to 1) adds up to a quarter, so that
 * a whole channel does not come back in one burst. If the gateway asked for a certain wait, that replaces the doubled
 * one, but it is never shorter than the first wait. While a gateway is being replaced (`isRestarting`), an attempt that
 * finds nobody is soon followed by the next one.
 */
export function delayMs(ended: Ended, attempt: number, random: number, isRestarting = false): number | undefined {
  const next = nextStep(ended.code);
  if (next === "stop") return undefined;
  const step = isRestarting && next === "join_again" ? "join_again_at_once" : next;
  const wait = ended.retryAfterMs ?? Math.min(FIRST_MS[step] * 2 ** attempt, LONGEST_MS);
  return Math.round(Math.max(wait, FIRST_MS[step]) * (1 + random / 4));
}

/** Where to connect next, if the gateway restarts and names another address. `own` is the address of this page's gateway. */
export function urlAfter({ code, url }: Ended, own: string): string | undefined {
  return code === RESTARTING && url !== undefined && isUsableUrl(url, own.startsWith("wss:")) ? url : undefined;
}

/** Whether the page may go to another gateway at this address. A page that came over TLS takes no plain WebSocket. */
export function isUsableUrl(url: string, isSecure: boolean): boolean {
  try {
    const { protocol } = new URL(url);
    return protocol === "wss:" || (protocol === "ws:" && !isSecure);
  } catch {
    return false;
  }
}
