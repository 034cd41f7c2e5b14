/**
 * One's own microphone, camera and screen: asked for, muted, stopped.
 *
 * The tracks outlive connections, so that a reconnect neither asks again nor lets the camera's light flicker. Every
 * failure ends as a `Trouble` that can be said in plain words; nothing here throws.
 */
import type { Source } from "./protocol";

export type Device = "microphone" | "camera" | "screen";

/** Why a device cannot be used, or can no more. */
export type Trouble = "refused" | "missing" | "busy" | "insecure" | "unplugged" | "unsent" | "failed";

export interface DeviceState {
  readonly status: "off" | "starting" | "on" | "muted";
  /** What it gives, to be shown; for a microphone nobody needs it. */
  readonly stream?: MediaStream | undefined;
  readonly trouble?: Trouble | undefined;
}

export type LocalState = Readonly<Record<Device, DeviceState>>;

export interface LocalMediaHandlers {
  changed(): void;
  /** A track is there to be sent, or sent paused. */
  available(source: Source, track: MediaStreamTrack, paused: boolean): void;
  /** A source is not to be sent any more. */
  gone(source: Source): void;
}

const MICROPHONE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30 },
};
const SCREEN: DisplayMediaStreamOptions = { video: { frameRate: { ideal: 15, max: 30 } }, audio: true };
const OFF: DeviceState = { status: "off" };

export class LocalMedia {
  readonly #handlers: LocalMediaHandlers;
  readonly #devices: MediaDevices | undefined;
  readonly #permissions: Permissions | undefined;
  readonly #tracks = new Map<Source, MediaStreamTrack>();
  /** Raised by `stop`, so that a permission given later does not switch a device on behind one's back. */
  readonly #wishes: Record<Device, number> = { microphone: 0, camera: 0, screen: 0 };
  #state: LocalState = { microphone: OFF, camera: OFF, screen: OFF };

  constructor(handlers: LocalMediaHandlers, browser: Partial<Pick<Navigator, "mediaDevices" | "permissions">>) {
    this.#handlers = handlers;
    this.#devices = browser.mediaDevices;
    this.#permissions = browser.permissions;
  }

  get state(): LocalState {
    return this.#state;
  }

  /** Every track there is now: what a new connection has to send. */
  get tracks(): { source: Source; track: MediaStreamTrack; paused: boolean }[] {
    return [...this.#tracks].map(([source, track]) => ({ source, track, paused: !track.enabled }));
  }

  /** Ask for what one joins with: both in one question where the browser can put it so. */
  async start(wanted: { microphone: boolean; camera: boolean }): Promise<void> {
    if (wanted.microphone && wanted.camera) await this.#startBoth();
    else if (wanted.microphone) await this.#startOne("microphone");
    else if (wanted.camera) await this.#startOne("camera");
  }

  /** Mute at once; unmute at once too when the microphone is there, otherwise ask for it. */
  async setMicrophone(on: boolean): Promise<void> {
    const track = this.#tracks.get("microphone");
    if (!track) return on ? this.#startUnlessStarting("microphone") : this.stop("microphone");
    track.enabled = on;
    this.#set("microphone", { status: on ? "on" : "muted" });
    this.#handlers.available("microphone", track, !on);
  }

  /** Off means off: the camera's light goes out. */
  async setCamera(on: boolean): Promise<void> {
    if (!on) this.stop("camera");
    else if (!this.#tracks.has("camera")) await this.#startUnlessStarting("camera");
  }

  async setScreen(on: boolean): Promise<void> {
    if (!on) this.stop("screen");
    else if (this.#state.screen.status === "off") await this.#startScreen();
  }

  stop(device: Device): void {
    this.#wishes[device] += 1;
    for (const source of sourcesOf(device)) this.#drop(source);
    this.#set(device, OFF);
  }

  stopAll(): void {
    for (const device of ["microphone", "camera", "screen"] as const) this.stop(device);
  }

  /** Stop it, because of something that the person has to know. */
  fail(device: Device, trouble: Trouble): void {
    this.stop(device);
    this.#set(device, { status: "off", trouble });
  }

  /** The person has read what the trouble is. */
  dismiss(device: Device): void {
    this.#set(device, { ...this.#state[device], trouble: undefined });
  }

  async #startBoth(): Promise<void> {
    const wishes = { microphone: this.#wish("microphone"), camera: this.#wish("camera") };
    let stream: MediaStream;
    try {
      stream = await this.#getUserMedia({ audio: MICROPHONE, video: CAMERA });
    } catch (error) {
      return this.#startApart(error, wishes);
    }
    for (const track of stream.getTracks()) {
      const device = track.kind === "audio" ? "microphone" : "camera";
      this.#took(device, wishes[device], device, track);
    }
  }

  /** One of the two fails both. Which one it is shows when they are asked for one by one, without asking twice. */
  async #startApart(error: unknown, wishes: Record<"microphone" | "camera", number>): Promise<void> {
    const trouble = troubleOf(error);
    for (const device of ["microphone", "camera"] as const) {
      if (this.#wishes[device] !== wishes[device]) continue;
      const other = device === "microphone" ? "camera" : "microphone";
      const isWorthTrying = trouble === "refused" ? await this.#onlyDenied(other) : trouble !== "insecure";
      if (isWorthTrying) await this.#startOne(device);
      else this.#set(device, { status: "off", trouble });
    }
  }

  /** Whether it is this device, and not the other one, that was blocked for good. */
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
      // Not every browser knows these names.
      return false;
    }
  }

  /** A second question would be put beside the first one. */
  async #startUnlessStarting(device: "microphone" | "camera"): Promise<void> {
    if (this.#state[device].status !== "starting") await this.#startOne(device);
  }

  async #startOne(device: "microphone" | "camera"): Promise<void> {
    const wish = this.#wish(device);
    try {
      const constraints = device === "microphone" ? { audio: MICROPHONE } : { video: CAMERA };
      const stream = await this.#getUserMedia(constraints);
      for (const track of stream.getTracks()) this.#took(device, wish, device, track);
    } catch (error) {
      if (this.#wishes[device] === wish) this.#set(device, { status: "off", trouble: troubleOf(error) });
    }
  }

  async #startScreen(): Promise<void> {
    const wish = this.#wish("screen");
    try {
      if (!this.#devices?.getDisplayMedia) throw new Insecure();
      const stream = await this.#devices.getDisplayMedia(SCREEN);
      for (const track of stream.getTracks()) {
        // Small print matters more on a screen than smooth motion.
        if (track.kind === "video") track.contentHint = "detail";
        this.#took("screen", wish, track.kind === "video" ? "screen" : "screen_audio", track);
      }
    } catch (error) {
      if (this.#wishes.screen !== wish) return;
      // Closing the browser's picker is a change of mind, nothing to talk about.
      const trouble = troubleOf(error);
      this.#set("screen", { status: "off", trouble: trouble === "refused" ? undefined : trouble });
    }
  }

  #getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream> {
    if (!this.#devices?.getUserMedia) return Promise.reject(new Insecure());
    return this.#devices.getUserMedia(constraints);
  }

  #wish(device: Device): number {
    this.#set(device, { status: "starting" });
    return ++this.#wishes[device];
  }

  #took(device: Device, wish: number, source: Source, track: MediaStreamTrack): void {
    if (this.#wishes[device] !== wish) return track.stop();
    this.#tracks.set(source, track);
    track.onended = () => this.#ended(device, source);
    const stream = track.kind === "video" ? new MediaStream([track]) : this.#state[device].stream;
    this.#set(device, { status: "on", stream });
    this.#handlers.available(source, track, false);
  }

  /** A track ends by itself when its device is pulled out, or when sharing is stopped in the browser's own bar. */
  #ended(device: Device, source: Source): void {
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

  #set(device: Device, state: DeviceState): void {
    this.#state = { ...this.#state, [device]: state };
    this.#handlers.changed();
  }
}

/** Whether the person wants it on, though the browser may still be asking them. */
export function isOn({ status }: DeviceState): boolean {
  return status === "on" || status === "starting";
}

class Insecure extends Error {}

/** What a browser's error means to the person in front of it. */
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

function sourcesOf(device: Device): readonly Source[] {
  return device === "screen" ? ["screen", "screen_audio"] : [device];
}
