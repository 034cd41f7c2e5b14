/**
 * The page's address: which channel it leads to, and what it asks for.
 *
 * Anybody can send anybody a link, so nothing in an address starts a device: a person presses Join, and sees before
 * what will be on. A link may switch a device off, never on. Kiosks, where nobody is there to press, are a setting of
 * the gateway.
 */

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

/** What the query asks for: `name`, `user`, `token`, `mic=0`, `camera=0`; `join=1` counts at a kiosk alone. */
export interface Wishes {
  readonly name?: string | undefined;
  readonly userId?: string | undefined;
  readonly token?: string | undefined;
  readonly join: boolean;
  /** False where it is to be off; else the person decides. */
  readonly microphone?: false | undefined;
  readonly camera?: false | undefined;
}

export function wishesIn(search: string): Wishes {
  const query = new URLSearchParams(search);
  const off = (name: string) => (query.get(name) === "0" ? false : undefined);
  return {
    name: query.get("name") ?? undefined,
    userId: query.get("user") ?? undefined,
    token: query.get("token") ?? undefined,
    join: query.has("join") && query.get("join") !== "0",
    microphone: off("mic"),
    camera: off("camera"),
  };
}

/** Whether the operator made this gateway one for kiosks, whose pages may join by themselves. */
export async function isKiosk(load: (path: string) => Promise<Response>): Promise<boolean> {
  try {
    const settings: unknown = await (await load("/page.json")).json();
    return (settings as { kiosk?: unknown }).kiosk === true;
  } catch {
    return false;
  }
}

/** Where the gateway listens for this page. */
export function gatewayUrl({ protocol, host }: Pick<Location, "protocol" | "host">): string {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}/ws`;
}
