/** The page's address: which channel it leads to, and what it asks to be done without a click. */

const CHANNEL = /^[A-Za-z0-9_.:-]{1,128}$/;
const FOLDER = "/c/";

export function isChannel(text: string): boolean {
  return CHANNEL.test(text);
}

/** What a person typed, made into a channel's name as far as that can be done without guessing. */
export function asChannel(text: string): string {
  return text.replace(/\s+/g, "-").slice(0, 128);
}

export function pathOf(channelId: string): string {
  return FOLDER + encodeURIComponent(channelId);
}

/** The channel that a path leads to; undefined where it leads to none. */
export function channelIn(path: string): string | undefined {
  if (!path.startsWith(FOLDER)) return undefined;
  try {
    const channelId = decodeURIComponent(path.slice(FOLDER.length).replace(/\/$/, ""));
    return isChannel(channelId) ? channelId : undefined;
  } catch {
    return undefined;
  }
}

/** What the query asks for: `?name=Ada&join=1`, and optionally `user`, `mic=0`, `camera=0`. */
export interface Wishes {
  readonly name?: string | undefined;
  readonly userId?: string | undefined;
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
    join: flag("join") ?? false,
    microphone: flag("mic"),
    camera: flag("camera"),
  };
}

/** Where the gateway listens for this page. */
export function gatewayUrl({ protocol, host }: Pick<Location, "protocol" | "host">): string {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}/ws`;
}
