/**
 * The token that a page with this page in a frame gives it.
 *
 * A token in an address would end up in histories and in the logs of proxies. So the surrounding page sends it as a
 * message: `frame.contentWindow.postMessage({ type: "trio-sfu:token", token }, origin)`. It may do so at any time, for
 * example after `{ type: "trio-sfu:ready" }` came from this page. Only pages of the gateway's own origin may have this
 * page in a frame (Content-Security-Policy: frame-ancestors), and only their messages count.
 */
import { LIMITS } from "./protocol";

export const TOKEN_MESSAGE = "trio-sfu:token";
export const READY_MESSAGE = "trio-sfu:ready";

/** The parts of `window` that matter here. Tests pass their own. */
export interface Frame {
  readonly location: Pick<Location, "origin">;
  readonly parent: Pick<Window, "postMessage">;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

/** Call `onToken` with each token from the surrounding page. Returns a function that ends it. */
export function listenForToken(frame: Frame, onToken: (token: string) => void): () => void {
  const isFramed = (frame.parent as unknown) !== frame;
  if (!isFramed) return () => undefined;
  const listen = (event: MessageEvent) => {
    const token = tokenIn(event, frame);
    if (token !== undefined) onToken(token);
  };
  frame.addEventListener("message", listen);
  frame.parent.postMessage({ type: READY_MESSAGE }, frame.location.origin);
  return () => frame.removeEventListener("message", listen);
}

function tokenIn({ source, origin, data }: MessageEvent, frame: Frame): string | undefined {
  if (source !== frame.parent || origin !== frame.location.origin) return undefined;
  const { type, token } = (data ?? {}) as { type?: unknown; token?: unknown };
  if (type !== TOKEN_MESSAGE || typeof token !== "string") return undefined;
  return token !== "" && token.length <= LIMITS.maxTokenCharacters ? token : undefined;
}
