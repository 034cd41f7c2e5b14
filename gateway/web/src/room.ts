/**
 * A person's presence in a channel: joining, staying across lost connections, leaving.
 *
 * There is one state, and every change replaces it as a whole. A session that changes its WebSocket keeps everything.
 * Without a session the page shows no other person, because only the gateway's list says who is in the channel.
 */
import type { Device } from "mediasoup-client";

import { isOn, LocalMedia, type LocalState } from "./localMedia";
import type { Participant, Source, Stats } from "./protocol";
import { closeCodeOf, delayMs, urlAfter } from "./reconnect";
import { newSecret } from "./secret";
import { OPEN_CHANNEL, Session, type Presence } from "./session";
import { BROKEN, ConnectionEnded, RequestError, Signalling, type Ended, type OpenSocket, type Socket } from "./signalling";
import { Moderation } from "./moderation";
import type { Sample } from "./statistics";
import { readStats, type RoomStats } from "./stats";
import { Views } from "./views";

/** After this long in the channel, the next loss starts again with the shortest wait. */
const SETTLED_MS = 10_000;
/** Longest wait for the answer to `leave`. The connection is closed after it in any case. */
const LEAVE_TIMEOUT_MS = 2_000;
const UNAUTHENTICATED = 4401;
const RESTARTING = 1012;

export interface JoinOptions {
  readonly channelId: string;
  readonly username: string;
  /** The user id to join with. Without one the gateway makes one up. */
  readonly userId?: string | undefined;
  /** Needed by a gateway that asks for a token. */
  readonly token?: string | undefined;
  readonly microphone: boolean;
  readonly camera: boolean;
}

/** `waiting` is the time between two attempts. After `ended` there is no attempt unless the person asks for one. */
export type Phase = "idle" | "joining" | "joined" | "waiting" | "ended";

export interface News {
  readonly serial: number;
  readonly event: "joined" | "left";
  readonly username: string;
}

export interface RoomState {
  readonly phase: Phase;
  readonly channelId: string;
  readonly username: string;
  readonly presence: Presence;
  readonly local: LocalState;
  /** Why there is no connection: how the last one ended, and whether it had joined the channel. */
  readonly ended?: (Ended & { readonly wasJoined: boolean }) | undefined;
  /** The time of the next attempt, on the clock of `performance.now()`. */
  readonly retryAt?: number | undefined;
  readonly news?: News | undefined;
  /** Why the gateway did not do what this person decided as a moderator. */
  readonly notModerated?: string | undefined;
}

/** The parts of the browser that a room uses. Tests pass their own. */
export interface Surroundings {
  readonly url: string;
  readonly browser: Partial<Pick<Navigator, "mediaDevices" | "permissions">>;
  createDevice(): Promise<Device>;
  openSocket?: OpenSocket | undefined;
  now(): number;
  random(): number;
}

/** The reason in `ended` if mediasoup-client does not support this browser. */
export const UNSUPPORTED = "unsupported browser";

const NOBODY: Presence = {
  self: "",
  participants: [],
  media: [],
  speakers: [],
  flowing: true,
  reconnecting: false,
  stalled: [],
  qualities: new Map(),
  channel: OPEN_CHANNEL,
  moderates: false,
};

export class Room {
  /** What the page shows of the others. */
  readonly views = new Views();
  /** What this person may decide as a moderator. */
  readonly moderation = new Moderation(
    (type, data) => this.#signalling?.request(type, data),
    (notModerated) => this.#update({ notModerated }),
  );
  readonly #surroundings: Surroundings;
  readonly #local: LocalMedia;
  readonly #listeners = new Set<() => void>();
  /** It lets this page take its own seat again. Only memory holds it: a duplicated tab would share any storage. */
  readonly #secret = newSecret();
  #state: RoomState;
  #options: JoinOptions | undefined;
  #signalling: Signalling | undefined;
  #session: Session | undefined;
  #attempt = 0;
  /** Whether a gateway closed with 1012, and no attempt has succeeded since. */
  #isRestarting = false;
  /** Where to join again, if the gateway named another address. An attempt that fails forgets it. */
  #url: string | undefined;
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

  /** Join a channel, and stay in it until `leave`. This does not wait for microphone or camera. */
  join(options: JoinOptions): void {
    this.leave();
    this.#options = options;
    this.#attempt = 0;
    this.#isRestarting = false;
    const { channelId, username } = options;
    this.#update({ channelId, username, ended: undefined, news: undefined, notModerated: undefined });
    this.#local.forbid([]);
    void this.#local.start(options);
    this.#connect();
  }

  /** Leave at once. The request to the gateway runs in the background. */
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

  /** Leave because the page is going away, which allows no more than one synchronous step. `comeBack` undoes it. */
  abandon(): void {
    if (this.#state.phase === "ended") return;
    const signalling = this.#signalling;
    this.#rememberDevices();
    this.#signalling = undefined;
    signalling?.close();
    this.#stop();
    this.#update({ phase: "idle", ended: undefined });
  }

  /** The browser shows the page again after `abandon`. Rejoin, if the person was in a channel then. */
  comeBack(): void {
    if (this.#state.phase === "idle") this.joinAgain();
  }

  /** Join again with the last options, and perhaps with another token. */
  joinAgain(token = this.#options?.token): void {
    if (this.#options) this.join({ ...this.#options, token });
  }

  /** Leave this channel and join another one, with the devices that are on. */
  move(channelId: string): void {
    if (this.#state.phase !== "ended") this.#rememberDevices();
    if (this.#options) this.join({ ...this.#options, channelId });
  }

  /**
   * Use another token: in this session at once, and for the next `join`. If the gateway rejected the last one, join again
   * at once.
   */
  useToken(token: string): void {
    if (this.#options) this.#options = { ...this.#options, token };
    // If the gateway does not accept it, the call goes on with the older one.
    this.#session?.renewToken(token).catch(() => undefined);
    if (this.#state.phase === "ended" && this.#state.ended?.code === UNAUTHENTICATED) this.joinAgain(token);
  }

  /** Start the next attempt now. */
  retryNow(): void {
    if (this.#state.phase === "waiting") this.#connect();
  }

  /**
   * The machine has another network, or was asleep. Resume over another WebSocket, or join again at once if the
   * connection broke. A wait that the gateway asked for goes on.
   */
  networkChanged(): void {
    this.#session?.networkChanged();
    if (this.#state.ended?.code === BROKEN) this.retryNow();
  }

  /** Something may be wrong with the network. */
  doubtNetwork(): void {
    this.#session?.doubt();
  }

  get local(): Pick<LocalMedia, "setMicrophone" | "setCamera" | "setScreen" | "dismiss"> {
    return this.#local;
  }

  stats(): Promise<RoomStats> {
    return readStats(this.#session);
  }

  /** What the gateway measures. Undefined without a session, and without an answer. */
  async gatewayStats(): Promise<Stats | undefined> {
    return this.#session && this.#signalling?.request("stats", {}).catch(() => undefined);
  }

  /** What browser and gateway measure now, for the statistics panel. */
  async sample(): Promise<Sample> {
    const [browser, gateway] = await Promise.all([this.stats(), this.gatewayStats()]);
    return { at: this.#surroundings.now(), browser, gateway };
  }

  /** Join over a new WebSocket, or over an open one that knows no session. */
  #connect(socket?: Socket): void {
    clearTimeout(this.#timer);
    this.#update({ phase: "joining", retryAt: undefined });
    const { url, openSocket, random } = this.#surroundings;
    const signalling: Signalling = new Signalling(
      this.#url ?? url,
      {
        opened: () => void this.#opened(signalling),
        // While an old connection is closing, its events must not reach the new session.
        event: (event) => signalling === this.#signalling && this.#session?.handle(event),
        resumed: (state) => signalling === this.#signalling && this.#session?.resumed(state),
        resuming: (isResuming) => signalling === this.#signalling && this.#session?.resuming(isResuming),
        ended: (ended, left) => this.#lost(signalling, ended, left),
      },
      openSocket,
      random,
      socket,
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
      const data = { channelId, username, sessionSecret: this.#secret, ...optional };
      const handlers = {
        changed: (presence: Presence) => signalling === this.#signalling && this.#changed(presence),
        joined: (participant: Participant) => this.#announce("joined", participant),
        left: (participant: Participant) => this.#announce("left", participant),
        notSent: (source: Source) => this.#local.fail(deviceOf(source), "unsent"),
        // The page makes its media anew, as for a move of its own.
        moved: (channelId: string) => signalling === this.#signalling && this.move(channelId),
        unusable: () => signalling.giveUp({ code: 4400, reason: UNSUPPORTED }),
      };
      const session = await Session.join(signalling, device, data, handlers, this.views);
      if (signalling === this.#signalling) this.#entered(session);
      else session.close();
    } catch (error) {
      signalling.giveUp(endedBy(error));
    }
  }

  #entered(session: Session): void {
    this.#session = session;
    this.#joinedAt = this.#surroundings.now();
    this.#isRestarting = false;
    // After a broken connection the gateway keeps the old participant for a while. Rejoining with the same user id and
    // secret replaces it. With a new id the others would see this person twice.
    if (this.#options) this.#options = { ...this.#options, userId: session.self };
    this.#update({ phase: "joined", ended: undefined });
    for (const { source, track, paused } of this.#local.tracks) session.outbound.send(source, track, paused);
  }

  /**
   * The connection has ended. Wait for the next attempt, or end for good if the protocol says so.
   *
   * While waiting, microphone and camera stay on, so a short loss costs no new question to the person. Only a final end
   * stops them.
   */
  #lost(signalling: Signalling, ended: Ended, socket?: Socket): void {
    if (signalling !== this.#signalling) return socket?.close();
    if (socket) return this.#rejoin(socket, ended);
    const { url, now, random } = this.#surroundings;
    const wasJoined = this.#joinedAt !== undefined;
    if (this.#joinedAt !== undefined && now() - this.#joinedAt >= SETTLED_MS) this.#attempt = 0;
    if (ended.code === RESTARTING) this.#isRestarting = true;
    this.#url = urlAfter(ended, url);
    const delay = delayMs(ended, this.#attempt++, random(), this.#isRestarting);
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

  /** The gateway is there, but knows the session no longer. Its answer came over this socket, so join there. */
  #rejoin(socket: Socket, ended: Ended): void {
    this.#dropSession();
    this.#update({ presence: NOBODY, ended: { ...ended, wasJoined: true } });
    this.#connect(socket);
  }

  /** Note which devices are on, so that rejoining starts the same ones. */
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
    const own = presence.participants.find(({ userId }) => userId === presence.self);
    if (own) this.#local.forbid(own.mutedSources ?? []);
  }

  #announce(event: News["event"], { username }: Participant): void {
    this.#update({ news: { serial: (this.#state.news?.serial ?? 0) + 1, event, username } });
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
  // mediasoup-client does not support this browser. Any other error may be temporary, so try again.
  return name === "UnsupportedError" ? { code: 4400, reason: UNSUPPORTED } : { code: BROKEN, reason: message };
}

function deviceOf(source: Source): "microphone" | "camera" | "screen" {
  if (source === "microphone" || source === "camera") return source;
  return "screen";
}
