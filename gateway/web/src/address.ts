/** The page's address: which channel it leads to, and what it asks to be done without a click. */

const FOLDER = "/c/";

export function pathOf(channelId: string): string {
  return FOLDER + encodeURIComponent(channelId);
}

/**
 * The channel that a path leads to; undefined where it leads to none.
 *
 * It may be no channel's name: that is for the person to correct. Elsewhere they would meet somebody else.
 */
export function channelIn(path: string): string | undefined {
  const written = path.startsWith(FOLDER) ? path.slice(FOLDER.length).replace(/\/$/, "") : "";
  try {
    return decodeURIComponent(written) || undefined;
  } catch {
    return written;
  }
}

/** What the query asks for: `?name=Ada&join=1`, and optionally `user`, `token`, `mic=0`, `camera=0`. */
export interface Wishes {
  readonly name?: string | undefined;
  readonly userId?: string | undefined;
  readonly token?: string | undefined;
  readonly join: boolean;
  readonly microphone?: boolean | undefined;
  readonly camera?: boolean | undefined;
}

export function wishesIn(search: string): Wishes {
  const query = new URLSearchParams(search);
  const flag = (name: string) => (query.has(name) ? query.get(name) !== "0" : undefined);
  return {
    name: query.get("name") ?? undefined,
    userId: query.get("user") ?? undefined,
    token: query.get("token") ?? undefined,
    join: flag("join") ?? false,
    microphone: flag("mic"),
    camera: flag("camera"),
  };
}

/** Where the gateway listens for this page. */
export function gatewayUrl({ protocol, host }: Pick<Location, "protocol" | "host">): string {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}/ws`;
}
