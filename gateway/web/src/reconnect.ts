/** What comes after a connection has ended: stop, join again, or join again later. The protocol says which. */
import { nextStep, type ErrorCode } from "./protocol";
import type { Ended } from "./signalling";

/** An error in answer to `join` is acted on like the close code that the same cause would have had. */
const CLOSE_CODE_OF: Partial<Record<ErrorCode, number>> = {
  unauthenticated: 4401,
  forbidden: 4403,
  limit_exceeded: 4429,
  rate_limited: 4429,
  media_failed: 4500,
  timeout: 4500,
  internal: 4500,
};

export function closeCodeOf(error: ErrorCode): number {
  return CLOSE_CODE_OF[error] ?? 4400;
}

const FIRST_MS = { join_again: 1_000, join_again_later: 5_000 };
const LONGEST_MS = 30_000;

/**
 * How long to wait before attempt number `attempt` (0 is the first one after having been joined), in milliseconds.
 *
 * It doubles up to 30 s and is spread over a quarter more by `random` (0 to 1), so that a channel that lost its
 * gateway does not come back as one burst. A gateway that says how long it wants to be left alone is believed,
 * unless that is shorter than the first wait. Undefined: do not.
 */
export function delayMs(ended: Ended, attempt: number, random: number): number | undefined {
  const step = nextStep(ended.code);
  if (step === "stop") return undefined;
  const wait = ended.retryAfterMs ?? Math.min(FIRST_MS[step] * 2 ** attempt, LONGEST_MS);
  return Math.round(Math.max(wait, FIRST_MS[step]) * (1 + random / 4));
}
