/**
 * The person's own microphone, camera and screen: starts, mutes and stops them.
 *
 * The tracks outlive connections. A reconnect therefore neither asks for permission again nor makes the camera's light
 * flicker. Nothing here throws: every failure becomes a `Trouble`, which the page explains in plain words.
 */
import type { Source } from "./protocol";

export type LocalDevice = "microphone" | "camera" | "screen";

/** Why a device does not start, or has stopped. */
export type Trouble = "refused" | "missing" | "busy" | "insecure" | "unplugged" | "unsent" | "moderated" | "failed";

export interface LocalDeviceState {
  readonly status: "off" | "starting" | "on" | "muted";
  /** The device's video, for the preview. A microphone has none. */
  readonly stream?: MediaStream | undefined;
  readonly trouble?: Trouble | undefined;
}

export type LocalState = Readonly<Record<LocalDevice, LocalDeviceState>>;

export interface LocalMediaHandlers {
  changed(): void;
  /** Send this track as `source`, or send it paused. */
  available(source: Source, track: MediaStreamTrack, paused: boolean): void;
  /** Stop sending `source`. */
  gone(source: Source): void;
}

const MICROPHONE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30 },
};
const SCREEN: DisplayMediaStreamOptions = { video: { frameRate: { ideal: 15, max: 15 } }, audio: true };
const OFF: LocalDeviceState = { status: "off" };

export class LocalMedia {
  readonly #handlers: LocalMediaHandlers;
  readonly #devices: MediaDevices | undefined;
  readonly #permissions: Permissions | undefined;
  readonly #tracks = new Map<Source, MediaStreamTrack>();
  /** Goes up with every start and stop, so that a permission given after `stop` does not switch the device on. */
  readonly #attempts: Record<LocalDevice, number> = { microphone: 0, camera: 0, screen: 0 };
  /** The sources that a moderator has muted. */
  #forbidden: ReadonlySet<Source> = new Set();
  #state: LocalState = { microphone: OFF, camera: OFF, screen: OFF };

  constructor(handlers: LocalMediaHandlers, browser: Partial<Pick<Navigator, "mediaDevices" | "permissions">>) {
    this.#handlers = handlers;
    this.#devices = browser.mediaDevices;
    this.#permissions = browser.permissions;
  }

  get state(): LocalState {
    return this.#state;
  }

  /** All tracks that a new connection has to send. */
  get tracks(): { source: Source; track: MediaStreamTrack; paused: boolean }[] {
    return [...this.#tracks].map(([source, track]) => ({ source, track, paused: !track.enabled }));
  }

  /** Start the wanted devices. Asking for both at once lets the browser ask the person only once. */
  async start(wanted: { microphone: boolean; camera: boolean }): Promise<void> {
    if (wanted.microphone && wanted.camera) await this.#startBoth();
    else if (wanted.microphone) await this.#startOne("microphone");
    else if (wanted.camera) await this.#startOne("camera");
  }

  /** Mute or unmute at once. If there is no microphone yet, unmuting asks for one. */
  async setMicrophone(on: boolean): Promise<void> {
    if (on && this.#isForbidden("microphone")) return;
    const track = this.#tracks.get("microphone");
    if (!track) return on ? this.#startUnlessStarting("microphone") : this.stop("microphone");
    track.enabled = on;
    this.#set("microphone", { status: on ? "on" : "muted" });
    this.#handlers.available("microphone", track, !on);
  }

  /** Start or stop the camera. Off releases the device, so its light goes out. */
  async setCamera(on: boolean): Promise<void> {
    if (!on) this.stop("camera");
    else if (this.#isForbidden("camera")) return;
    else if (!this.#tracks.has("camera")) await this.#startUnlessStarting("camera");
  }

  async setScreen(on: boolean): Promise<void> {
    if (!on) this.stop("screen");
    else if (this.#isForbidden("screen")) return;
    else if (this.#state.screen.status === "off") await this.#startScreen();
  }

  stop(device: LocalDevice): void {
    this.#attempts[device] += 1;
    for (const source of sourcesOf(device)) this.#drop(source);
    this.#set(device, OFF);
  }

  stopAll(): void {
    for (const device of ["microphone", "camera", "screen"] as const) this.stop(device);
  }

  /** A moderator allows all sources but these. What was muted stays off until the person turns it on. */
  forbid(sources: readonly Source[]): void {
    const before = this.#forbidden;
    this.#forbidden = new Set(sources);
    for (const device of ["microphone", "camera", "screen"] as const) {
      if (this.#forbidden.has(device) && !before.has(device)) this.#silence(device);
      if (before.has(device) && !this.#forbidden.has(device) && this.#state[device].trouble === "moderated") this.dismiss(device);
    }
  }

  /** Whether a moderator has muted this device. If so, the page says it again. */
  #isForbidden(device: LocalDevice): boolean {
    if (!this.#forbidden.has(device)) return false;
    this.#set(device, { ...this.#state[device], trouble: "moderated" });
    return true;
  }

  #silence(device: LocalDevice): void {
    if (device === "microphone" && this.#tracks.has(device)) void this.setMicrophone(false);
    else this.stop(device);
    this.#isForbidden(device);
  }

  /** Stop the device because of a trouble, which the page then shows. */
  fail(device: LocalDevice, trouble: Trouble): void {
    this.stop(device);
    this.#set(device, { status: "off", trouble });
  }

  /** The person has dismissed the notice about the trouble. */
  dismiss(device: LocalDevice): void {
    this.#set(device, { ...this.#state[device], trouble: undefined });
  }

  async #startBoth(): Promise<void> {
    const attempts = { microphone: this.#begin("microphone"), camera: this.#begin("camera") };
    let stream: MediaStream;
    try {
      stream = await this.#getUserMedia({ audio: MICROPHONE, video: CAMERA });
    } catch (error) {
      return this.#startApart(error, attempts);
    }
    for (const track of stream.getTracks()) {
      const device = track.kind === "audio" ? "microphone" : "camera";
      this.#useTrack(device, attempts[device], device, track);
    }
  }

  /**
   * Start the devices one by one after starting both has failed, to learn which one is in trouble.
   *
   * After a refusal this must not ask the person again. So a device is tried only if the other one alone was blocked.
   */
  async #startApart(error: unknown, attempts: Record<"microphone" | "camera", number>): Promise<void> {
    const trouble = troubleOf(error);
    for (const device of ["microphone", "camera"] as const) {
      if (this.#attempts[device] !== attempts[device]) continue;
      const other = device === "microphone" ? "camera" : "microphone";
      const isWorthTrying = trouble === "refused" ? await this.#onlyDenied(other) : trouble !== "insecure";
      if (isWorthTrying) await this.#startOne(device);
      else this.#set(device, { status: "off", trouble });
    }
  }

  /** Whether the person has blocked this device for good, but not the other one. */
  async #onlyDenied(device: "microphone" | "camera"): Promise<boolean> {
    const [denied, other] = await Promise.all([
      this.#isDenied(device),
      this.#isDenied(device === "microphone" ? "camera" : "microphone"),
    ]);
    return denied && !other;
  }

  async #isDenied(device: "microphone" | "camera"): Promise<boolean> {
    try {
      return (await this.#permissions?.query({ name: device }))?.state === "denied";
    } catch {
      // Not every browser knows these permission names.
      return false;
    }
  }

  /** Start the device, unless the browser is asking the person for it already. */
  async #startUnlessStarting(device: "microphone" | "camera"): Promise<void> {
    if (this.#state[device].status !== "starting") await this.#startOne(device);
  }

  async #startOne(device: "microphone" | "camera"): Promise<void> {
    const attempt = this.#begin(device);
    try {
      const constraints = device === "microphone" ? { audio: MICROPHONE } : { video: CAMERA };
      const stream = await this.#getUserMedia(constraints);
      for (const track of stream.getTracks()) this.#useTrack(device, attempt, device, track);
    } catch (error) {
      if (this.#attempts[device] === attempt) this.#set(device, { status: "off", trouble: troubleOf(error) });
    }
  }

  async #startScreen(): Promise<void> {
    const attempt = this.#begin("screen");
    try {
      if (!this.#devices?.getDisplayMedia) throw new Insecure();
      const stream = await this.#devices.getDisplayMedia(SCREEN);
      for (const track of stream.getTracks()) {
        // On a shared screen, legible text matters more than smooth motion.
        if (track.kind === "video") track.contentHint = "detail";
        this.#useTrack("screen", attempt, track.kind === "video" ? "screen" : "screen_audio", track);
      }
    } catch (error) {
      if (this.#attempts.screen !== attempt) return;
      // A person who closes the browser's picker has changed their mind and needs no notice.
      const trouble = troubleOf(error);
      this.#set("screen", { status: "off", trouble: trouble === "refused" ? undefined : trouble });
    }
  }

  #getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream> {
    if (!this.#devices?.getUserMedia) return Promise.reject(new Insecure());
    return this.#devices.getUserMedia(constraints);
  }

  #begin(device: LocalDevice): number {
    this.#set(device, { status: "starting" });
    return ++this.#attempts[device];
  }

  #useTrack(device: LocalDevice, attempt: number, source: Source, track: MediaStreamTrack): void {
    if (this.#attempts[device] !== attempt) return track.stop();
    this.#tracks.set(source, track);
    track.onended = () => this.#ended(device, source);
    const stream = track.kind === "video" ? new MediaStream([track]) : this.#state[device].stream;
    this.#set(device, { status: "on", stream });
    this.#handlers.available(source, track, false);
    // The moderator may have decided while the browser asked the person.
    if (source === device && this.#forbidden.has(device)) this.#silence(device);
  }

  /** A track ends by itself if its device is unplugged, or if sharing is stopped in the browser's own bar. */
  #ended(device: LocalDevice, source: Source): void {
    if (source === "screen_audio") this.#drop(source);
    else if (device === "screen") this.stop(device);
    else this.fail(device, "unplugged");
  }

  #drop(source: Source): void {
    const track = this.#tracks.get(source);
    if (!track) return;
    this.#tracks.delete(source);
    track.onended = null;
    track.stop();
    this.#handlers.gone(source);
  }

  #set(device: LocalDevice, state: LocalDeviceState): void {
    this.#state = { ...this.#state, [device]: state };
    this.#handlers.changed();
  }
}

/** Whether the device is on, or starting while the browser still asks for permission. */
export function isOn({ status }: LocalDeviceState): boolean {
  return status === "on" || status === "starting";
}

class Insecure extends Error {}

/** The trouble that a browser's error stands for. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof Insecure) return "insecure";
  switch (error instanceof Error ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "refused";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "failed";
  }
}

function sourcesOf(device: LocalDevice): readonly Source[] {
  return device === "screen" ? ["screen", "screen_audio"] : [device];
}
