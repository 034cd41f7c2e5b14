/**
 * Being in a channel: joining it, staying in it across lost connections, leaving it.
 *
 * There is one state, replaced as a whole with every change. While there is no connection nobody else is shown:
 * who is there is what the gateway's list says, and then there is none.
 */
import type { Device } from "mediasoup-client";

import { isOn, LocalMedia, type LocalState } from "./localMedia";
import type { Participant, Source } from "./protocol";
import { closeCodeOf, delayMs } from "./reconnect";
import { Session, type Presence } from "./session";
import { BROKEN, ConnectionEnded, RequestError, Signalling, type Ended, type OpenSocket } from "./signalling";
import { readStats, type RoomStats } from "./stats";

/** Having been in for this long, the next loss is a new one and waits as short as the first. */
const SETTLED_MS = 10_000;
/** Longest wait for the answer to `leave`; the connection is closed then in any case. */
const LEAVE_TIMEOUT_MS = 2_000;

export interface JoinOptions {
  readonly channelId: string;
  readonly username: string;
  /** Who one wants to be; the gateway makes an id up where there is none. */
  readonly userId?: string | undefined;
  /** For gateways that ask for one. */
  readonly token?: string | undefined;
  readonly microphone: boolean;
  readonly camera: boolean;
}

/** `waiting` is between two attempts, `ended` when there will be no other unless the person wants one. */
export type Phase = "idle" | "joining" | "joined" | "waiting" | "ended";

export interface News {
  readonly serial: number;
  readonly what: "joined" | "left";
  readonly username: string;
}

export interface RoomState {
  readonly phase: Phase;
  readonly channelId: string;
  readonly username: string;
  readonly presence: Presence;
  readonly local: LocalState;
  /** Why there is no connection: what ended the last one, and whether one had been in the channel by then. */
  readonly ended?: (Ended & { readonly wasJoined: boolean }) | undefined;
  /** When the next attempt comes, on the clock of `performance.now()`. */
  readonly retryAt?: number | undefined;
  readonly news?: News | undefined;
}

/** What a room needs of the world around it. */
export interface Surroundings {
  readonly url: string;
  readonly browser: Partial<Pick<Navigator, "mediaDevices" | "permissions">>;
  createDevice(): Promise<Device>;
  openSocket?: OpenSocket | undefined;
  now(): number;
  random(): number;
}

/** The reason given when it is the browser that cannot do it. */
export const UNSUPPORTED = "unsupported browser";

const NOBODY: Presence = { self: "", participants: [], media: [], speakers: [], flowing: true };

export class Room {
  readonly #surroundings: Surroundings;
  readonly #local: LocalMedia;
  readonly #listeners = new Set<() => void>();
  #state: RoomState;
  #options: JoinOptions | undefined;
  #signalling: Signalling | undefined;
  #session: Session | undefined;
  #attempt = 0;
  #joinedAt: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#local = new LocalMedia(
      {
        changed: () => this.#update({ local: this.#local.state }),
        available: (source, track, paused) => this.#session?.outbound.send(source, track, paused),
        gone: (source) => this.#session?.outbound.stop(source),
      },
      surroundings.browser,
    );
    const local = this.#local.state;
    this.#state = { phase: "idle", channelId: "", username: "", presence: NOBODY, local };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getState = (): RoomState => this.#state;

  /** Enter a channel, and stay in it until `leave`. Neither microphone nor camera is waited for. */
  join(options: JoinOptions): void {
    this.leave();
    this.#options = options;
    this.#attempt = 0;
    const { channelId, username } = options;
    this.#update({ channelId, username, ended: undefined, news: undefined });
    void this.#local.start(options);
    this.#connect();
  }

  /** Leave at once; the gateway is told in the background. */
  leave(): void {
    const signalling = this.#signalling;
    const wasJoined = this.#session !== undefined;
    this.#signalling = this.#options = undefined;
    const left = wasJoined ? signalling?.request("leave", {}, LEAVE_TIMEOUT_MS) : undefined;
    if (left) left.catch(() => undefined).finally(() => signalling?.close());
    else signalling?.close();
    this.#stop();
    this.#update({ phase: "idle", ended: undefined });
  }

  /** Leave in the one step that a page has left when it goes away. `comeBack` undoes it. */
  abandon(): void {
    if (this.#state.phase === "ended") return;
    const signalling = this.#signalling;
    this.#rememberDevices();
    this.#signalling = undefined;
    signalling?.close();
    this.#stop();
    this.#update({ phase: "idle", ended: undefined });
  }

  /** The page is shown again as it was when it went away. Who was not in a channel then is not now. */
  comeBack(): void {
    if (this.#state.phase === "idle") this.joinAgain();
  }

  /** Join again as one last was, after an end; with another token, where there is one. */
  joinAgain(token = this.#options?.token): void {
    if (this.#options) this.join({ ...this.#options, token });
  }

  /** Do not wait any longer for the next attempt. */
  retryNow(): void {
    if (this.#state.phase === "waiting") this.#connect();
  }

  /** What was lost with the network need not be waited for. A wait that the gateway asked for goes on. */
  networkIsBack(): void {
    this.#session?.networkIsBack();
    if (this.#state.ended?.code === BROKEN) this.retryNow();
  }

  get local(): Pick<LocalMedia, "setMicrophone" | "setCamera" | "setScreen" | "dismiss"> {
    return this.#local;
  }

  stats(): Promise<RoomStats> {
    return readStats(this.#session);
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#update({ phase: "joining", retryAt: undefined });
    const { url, openSocket } = this.#surroundings;
    const signalling: Signalling = new Signalling(
      url,
      {
        opened: () => void this.#opened(signalling),
        // A connection that is being left has no part in the next one's session.
        event: (event) => signalling === this.#signalling && this.#session?.handle(event),
        ended: (ended) => this.#lost(signalling, ended),
      },
      openSocket,
    );
    this.#signalling = signalling;
  }

  async #opened(signalling: Signalling): Promise<void> {
    const options = this.#options;
    if (!options) return;
    const { channelId, username, userId, token } = options;
    try {
      const device = await this.#surroundings.createDevice();
      const optional = { ...(userId !== undefined && { userId }), ...(token !== undefined && { token }) };
      const data = { channelId, username, ...optional };
      const session = await Session.join(signalling, device, data, {
        changed: (presence) => signalling === this.#signalling && this.#changed(presence),
        joined: (participant) => this.#tell("joined", participant),
        left: (participant) => this.#tell("left", participant),
        notSent: (source) => this.#local.fail(deviceOf(source), "unsent"),
        unusable: () => signalling.giveUp({ code: 4400, reason: UNSUPPORTED }),
      });
      if (signalling === this.#signalling) this.#entered(session);
      else session.close();
    } catch (error) {
      signalling.giveUp(endedBy(error));
    }
  }

  #entered(session: Session): void {
    this.#session = session;
    this.#joinedAt = this.#surroundings.now();
    // A connection that breaks leaves oneself behind in the channel for a while. As the same user one takes that
    // place; as a new one, one would be there twice.
    if (this.#options) this.#options = { ...this.#options, userId: session.self };
    this.#update({ phase: "joined", ended: undefined });
    for (const { source, track, paused } of this.#local.tracks) session.outbound.send(source, track, paused);
  }

  #lost(signalling: Signalling, ended: Ended): void {
    if (signalling !== this.#signalling) return;
    const { now, random } = this.#surroundings;
    const wasJoined = this.#joinedAt !== undefined;
    if (this.#joinedAt !== undefined && now() - this.#joinedAt >= SETTLED_MS) this.#attempt = 0;
    const delay = delayMs(ended, this.#attempt++, random());
    this.#signalling = undefined;
    if (delay === undefined) this.#rememberDevices();
    this.#dropSession();
    const why = { ...ended, wasJoined };
    if (delay === undefined) {
      this.#stop();
      return this.#update({ phase: "ended", ended: why });
    }
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#update({ phase: "waiting", ended: why, retryAt: now() + delay, presence: NOBODY });
  }

  /** So that coming back begins with the devices that were on. */
  #rememberDevices(): void {
    const { microphone, camera } = this.#local.state;
    if (!this.#options || this.#state.phase === "idle") return;
    this.#options = { ...this.#options, microphone: isOn(microphone), camera: isOn(camera) };
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#dropSession();
    this.#local.stopAll();
    this.#update({ presence: NOBODY, retryAt: undefined });
  }

  #dropSession(): void {
    this.#session?.close();
    this.#session = this.#joinedAt = undefined;
  }

  #changed(presence: Presence): void {
    this.#update({ presence });
  }

  #tell(what: News["what"], { username }: Participant): void {
    this.#update({ news: { serial: (this.#state.news?.serial ?? 0) + 1, what, username } });
  }

  #update(change: Partial<RoomState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function endedBy(error: unknown): Ended {
  if (error instanceof ConnectionEnded) return error.ended;
  if (error instanceof RequestError) return { code: closeCodeOf(error.code), reason: error.message };
  const { name, message } = error as Error;
  // mediasoup-client knows no handler for this browser; anything else is a fault that may pass.
  return name === "UnsupportedError" ? { code: 4400, reason: UNSUPPORTED } : { code: BROKEN, reason: message };
}

function deviceOf(source: Source): "microphone" | "camera" | "screen" {
  if (source === "microphone" || source === "camera") return source;
  return "screen";
}
