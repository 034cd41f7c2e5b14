/** What is said to the person when something does not go as wished. */
import type { Device, LocalState, Trouble } from "./localMedia";
import { UNSUPPORTED, type RoomState } from "./room";

export interface Words {
  readonly title: string;
  readonly text: string;
}

type WhyEnded = NonNullable<RoomState["ended"]>;

const LISTEN_AND_WATCH = "You can still listen and watch.";

const TROUBLE: Record<Trouble, (devices: readonly Device[]) => Words> = {
  refused: (devices) => ({
    title: `The browser may not use your ${devices.join(" or ")}`,
    text: `${LISTEN_AND_WATCH} To be heard or seen, allow it in the site settings beside the address, then try again.`,
  }),
  missing: (devices) => ({ title: `No ${devices.join(" or ")} found`, text: `${LISTEN_AND_WATCH} Plug one in, then try again.` }),
  busy: (devices) => ({
    title: `Your ${devices.join(" and ")} ${devices.length > 1 ? "are" : "is"} busy`,
    text: `Another program may be using it. ${LISTEN_AND_WATCH} Close that program, then try again.`,
  }),
  insecure: (devices) => ({
    title: `No ${devices.join(" or ")} on this address`,
    text: `Browsers allow it only on pages served over https, or from this machine itself. ${LISTEN_AND_WATCH}`,
  }),
  unplugged: (devices) => ({
    title: `Your ${devices.join(" and ")} stopped`,
    text: "It may have been unplugged, or the browser may not use it any more. Try again when it is back.",
  }),
  unsent: (devices) => ({
    title: `Your ${devices.join(" and ")} could not be sent`,
    text: "The gateway did not take it.",
  }),
  failed: (devices) => ({ title: `Your ${devices.join(" and ")} did not start`, text: `${LISTEN_AND_WATCH} Trying again may help.` }),
};

export interface TroubleWords extends Words {
  readonly trouble: Trouble;
  readonly devices: readonly Device[];
}

/** One notice for each trouble; what microphone and camera share is said once. */
export function troubles(local: LocalState): TroubleWords[] {
  const { microphone, camera, screen } = local;
  const told: TroubleWords[] = [];
  if (microphone.trouble && microphone.trouble === camera.trouble) {
    told.push(troubleWords(microphone.trouble, ["microphone", "camera"]));
  } else {
    if (microphone.trouble) told.push(troubleWords(microphone.trouble, ["microphone"]));
    if (camera.trouble) told.push(troubleWords(camera.trouble, ["camera"]));
  }
  if (screen.trouble) told.push(troubleWords(screen.trouble, ["screen"]));
  return told;
}

function troubleWords(trouble: Trouble, devices: readonly Device[]): TroubleWords {
  return { ...TROUBLE[trouble](devices), trouble, devices };
}

/** Why one is out of the channel, for good unless one decides otherwise. */
export function endedWords({ code, reason, wasJoined }: WhyEnded): Words {
  if (reason === UNSUPPORTED) {
    return { title: "This browser cannot join", text: "A current Chrome, Edge, Firefox or Safari can." };
  }
  switch (code) {
    case 4409:
      return { title: "You joined from somewhere else", text: "Another window or device of yours took your place here." };
    case 4403:
      return wasJoined
        ? { title: "You were removed", text: "A moderator removed you from this channel." }
        : { title: "You may not join this channel", text: "The gateway does not let you in." };
    default:
      return {
        title: "The gateway closed the connection",
        text: `This page and the gateway did not understand each other (${reason || code}). Reloading may help.`,
      };
  }
}

/** Why neither sound nor picture gets through, as far as a page can tell. */
export function blockedWords(userAgent: string, hostname: string): Words {
  const title = "Sound and picture do not get through";
  const isHere = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  if (isHere && userAgent.includes("Firefox/")) {
    const address = "an address of this machine in its network";
    return { title, text: `Firefox sends no media to 127.0.0.1. Start the gateway with --media-host and ${address}.` };
  }
  return { title, text: "Trying to find another way. A firewall that blocks UDP may be in between." };
}

/** Why one waits to be back. The countdown is said beside it. */
export function waitingWords({ code, wasJoined }: WhyEnded): Words {
  switch (code) {
    case 1001:
      return { title: "The gateway is restarting", text: "You are back as soon as it is." };
    case 4413:
      return { title: "Your connection was too slow", text: "The gateway had to let it go." };
    case 4429:
      return { title: "The gateway is busy", text: "It asked you to come back a little later." };
    case 4500:
      return { title: "The gateway had a fault", text: "It was not you." };
    default:
      return wasJoined
        ? { title: "The connection was lost", text: "Nobody can hear or see you just now." }
        : { title: "The gateway cannot be reached", text: "It may be away, or your network is." };
  }
}
