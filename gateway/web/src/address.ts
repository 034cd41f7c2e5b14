/**
 * The page's address: its path names a channel, its query holds options.
 *
 * A link can come from anybody, so no link starts a device. The person sees which devices will be on, and presses
 * Join. A link may switch a device off, but never on. Only a gateway that its operator made a kiosk lets a page join
 * without a press.
 */

const FOLDER = "/c/";

export function pathOf(channelId: string): string {
  return FOLDER + encodeURIComponent(channelId);
}

/**
 * The channel that a path names, or undefined if it names none.
 *
 * The name may be invalid. The form then asks the person to correct it, since a corrected guess could lead to the
 * wrong people.
 */
export function channelIn(path: string): string | undefined {
  const written = path.startsWith(FOLDER) ? path.slice(FOLDER.length).replace(/\/$/, "") : "";
  try {
    return decodeURIComponent(written) || undefined;
  } catch {
    return written;
  }
}

/** The options in a link's query: `name`, `user`, `mic=0`, `camera=0` and, at a kiosk, `join=1`. None is a secret. */
export interface LinkOptions {
  readonly name?: string | undefined;
  readonly userId?: string | undefined;
  readonly join: boolean;
  /** False if the link switches it off. Otherwise the person decides. */
  readonly microphone?: false | undefined;
  readonly camera?: false | undefined;
}

export function linkOptionsIn(search: string): LinkOptions {
  const query = new URLSearchParams(search);
  const off = (name: string) => (query.get(name) === "0" ? false : undefined);
  return {
    name: query.get("name") ?? undefined,
    userId: query.get("user") ?? undefined,
    join: query.has("join") && query.get("join") !== "0",
    microphone: off("mic"),
    camera: off("camera"),
  };
}

/** Whether the operator made this gateway a kiosk, whose page may join without a press of a button. */
export async function isKiosk(load: (path: string) => Promise<Response>): Promise<boolean> {
  try {
    const settings: unknown = await (await load("/page.json")).json();
    return (settings as { kiosk?: unknown }).kiosk === true;
  } catch {
    return false;
  }
}

/** The address of the gateway's WebSocket: the one that served this page. */
export function gatewayUrl({ protocol, host }: Pick<Location, "protocol" | "host">): string {
  return `${protocol === "https:" ? "wss:" : "ws:"}//${host}/ws`;
}
