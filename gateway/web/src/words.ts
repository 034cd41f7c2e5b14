/** The page's words for trouble: devices that fail, connections that end, media that does not get through. */
import type { LocalDevice, LocalState, Trouble } from "./localMedia";
import { UNSUPPORTED, type RoomState } from "./room";
import type { Presence } from "./session";

export interface Words {
  readonly title: string;
  readonly text: string;
}

type WhyEnded = NonNullable<RoomState["ended"]>;

const LISTEN_AND_WATCH = "You can still listen and watch.";

const TROUBLE: Record<Trouble, (devices: readonly LocalDevice[]) => Words> = {
  refused: (devices) => ({
    title: `Your ${devices.join(" and ")} ${areOrIs(devices)} blocked`,
    text: `${LISTEN_AND_WATCH} To be heard or seen, allow access in the site settings next to the address, then try again.`,
  }),
  missing: (devices) => ({ title: `No ${devices.join(" or ")} found`, text: `${LISTEN_AND_WATCH} Plug one in, then try again.` }),
  busy: (devices) => ({
    title: `Your ${devices.join(" and ")} ${areOrIs(devices)} busy`,
    text: `${LISTEN_AND_WATCH} Close other programs that use the ${devices.join(" or ")}, then try again.`,
  }),
  insecure: (devices) => ({
    title: `Your ${devices.join(" and ")} cannot be used on this address`,
    text: `${LISTEN_AND_WATCH} Browsers allow microphone, camera and screen only on https:// pages and on localhost.`,
  }),
  unplugged: (devices) => ({
    title: `Your ${devices.join(" and ")} stopped`,
    text: "Check the plug and the browser's permission, then try again.",
  }),
  unsent: (devices) => ({
    title: `Your ${devices.join(" and ")} could not be sent`,
    text: "The gateway did not accept the stream.",
  }),
  moderated: (devices) => ({
    title: `A moderator muted your ${devices.join(" and ")}`,
    text: "Others get nothing of it until a moderator allows it. Then you can turn it on again.",
  }),
  failed: (devices) => ({ title: `Your ${devices.join(" and ")} did not start`, text: `${LISTEN_AND_WATCH} Trying again may help.` }),
};

function areOrIs(devices: readonly LocalDevice[]): string {
  return devices.length > 1 ? "are" : "is";
}

export interface TroubleWords extends Words {
  readonly trouble: Trouble;
  readonly devices: readonly LocalDevice[];
}

/** One notice for each trouble. A trouble that microphone and camera share gets a single notice. */
export function troubles(local: LocalState): TroubleWords[] {
  const { microphone, camera, screen } = local;
  const notices: TroubleWords[] = [];
  if (microphone.trouble && microphone.trouble === camera.trouble) {
    notices.push(troubleWords(microphone.trouble, ["microphone", "camera"]));
  } else {
    if (microphone.trouble) notices.push(troubleWords(microphone.trouble, ["microphone"]));
    if (camera.trouble) notices.push(troubleWords(camera.trouble, ["camera"]));
  }
  if (screen.trouble) notices.push(troubleWords(screen.trouble, ["screen"]));
  return notices;
}

function troubleWords(trouble: Trouble, devices: readonly LocalDevice[]): TroubleWords {
  return { ...TROUBLE[trouble](devices), trouble, devices };
}

/** What the tiles and the sidebar say of a person whom a moderator deafened. Only this person sees the note. */
export const DEAFENED = { mark: "Deafened", note: "A moderator deafened you: you hear and see nobody" } as const;

/** Why the gateway rejected a token. It says more only about tokens that it has known. */
export function wrongTokenWords(reason: string): string {
  if (reason === "the token has expired") return "This token has expired.";
  if (reason === "the token is not valid yet") return "This token is not valid yet.";
  return "This token is not the right one.";
}

/** The gateway's words for a locked channel. */
const LOCKED = "a moderator locked this channel";

/** Why the call is over. The page does not rejoin unless the person asks for it. */
export function endedWords({ code, reason, wasJoined }: WhyEnded): Words {
  if (reason === UNSUPPORTED) {
    return { title: "This browser cannot join", text: "Please use a current Chrome, Edge, Firefox or Safari." };
  }
  switch (code) {
    case 4409:
      return wasJoined
        ? { title: "You joined from somewhere else", text: "Another window or device of yours is in the channel now." }
        : {
            title: "Your user id is in use",
            text: "Another window, another device or another person is in the channel with it. Try again when it has left.",
          };
    case 4410:
      return { title: "The call has ended", text: "A moderator ended it for everybody." };
    case 4403:
      if (reason === LOCKED) {
        return { title: "This channel is locked", text: "A moderator lets nobody else in for now. Try again later." };
      }
      return wasJoined
        ? { title: "You were removed", text: "A moderator removed you from this channel." }
        : { title: "You may not join this channel", text: `The gateway did not let you in${reason ? `: ${reason}` : ""}.` };
    default:
      return {
        title: "The gateway closed the connection",
        text: `The page and the gateway did not understand each other (${reason || code}). Reloading may help.`,
      };
  }
}

/** Why sound and video do not get through, as far as a page can tell. */
export function blockedWords(userAgent: string, hostname: string): Words {
  const title = "Sound and video are not getting through";
  const isHere = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (isHere && userAgent.includes("Firefox/")) {
    const address = "this machine's network address";
    return { title, text: `Firefox sends no media to 127.0.0.1. Start the gateway with --media-host and ${address}.` };
  }
  return { title, text: "The page is looking for another way. A firewall may be blocking it." };
}

/** For screen readers: whose media does not get through for the moment. Empty if there is nothing to say. */
export function reconnectingWords({ reconnecting, stalled, participants }: Presence): string {
  if (reconnecting) return "Reconnecting.";
  const names = participants.filter(({ userId }) => stalled.includes(userId)).map(({ username }) => username);
  return names.length > 0 ? `Reconnecting: ${names.join(", ")}.` : "";
}

/** Why the page is waiting to rejoin. The notice shows a countdown beside these words. */
export function waitingWords({ code, wasJoined }: WhyEnded): Words {
  switch (code) {
    case 1001:
    case 1012:
      return { title: "The gateway is restarting", text: "You will rejoin as soon as it is back." };
    case 4413:
      return { title: "Your connection was too slow", text: "So the gateway closed it." };
    case 4429:
      return { title: "The gateway reached a limit", text: "The gateway or channel may be full, or this page asked too often." };
    case 4500:
      return { title: "The gateway had an error", text: "You did nothing wrong." };
    default:
      return wasJoined
        ? { title: "The connection was lost", text: "Nobody can hear or see you right now." }
        : { title: "The gateway cannot be reached", text: "The gateway or your network may be down." };
  }
}
