/**
 * The channels of the gateway and the people in them, as somebody sees them who may be in none of them.
 *
 * It watches all channels over a WebSocket of its own, so it works before, during and after a call. A lost connection
 * is replaced by the rules of the protocol. The call goes first: while it has no connection, the directory opens none,
 * because browsers connect only one WebSocket to a host at a time.
 */
import { Mirror } from "./mirror";
import { LIMITS, type ErrorCode, type GatewayEvent, type Participant } from "./protocol";
import { closeCodeOf, delayMs, urlAfter } from "./reconnect";
import { BROKEN, RequestError, Signalling, type Ended, type OpenSocket } from "./signalling";

/** How long the gateway may take to answer after the page was hidden or frozen, at least and at most. */
const LEAST_PATIENCE_MS = 400;
const MOST_PATIENCE_MS = 2_000;
/** The same for a ping without a cause. */
const UNANSWERED_MS = 2_500;
/** Longest time for connecting, and for the answer to `watch`. An attempt that hangs is replaced. */
const ATTEMPT_MS = 5_000;
/** After this long, the next loss starts again with the shortest wait. */
const SETTLED_MS = 10_000;
/** The page shows changes together that come within this time. */
const TOGETHER_MS = 100;
/** A message before `join` may have 16 KiB, and its token 8 KiB. */
const MOST_AFTER_CHARACTERS = 6_000;
/** All channels. */
const PREFIX = "";
const RESTARTING = 1012;
/** Answers to `watch` after which the page shows no channels. An old gateway does not know the request. */
const REFUSALS: readonly ErrorCode[] = ["unauthenticated", "forbidden", "limit_exceeded", "unknown_type"];

export interface ListedChannel {
  readonly channelId: string;
  /** In the order of joining. */
  readonly participants: readonly Participant[];
}

export interface DirectoryState {
  /** The channels in which somebody is, by name. Undefined if the gateway shows none to this person. */
  readonly channels: readonly ListedChannel[] | undefined;
  /** Whether each change comes at once. Otherwise the lists may be old. */
  readonly isCurrent: boolean;
}

/** The parts of the browser that a directory uses. Tests pass their own. */
export interface DirectorySurroundings {
  readonly url: string;
  openSocket?: OpenSocket | undefined;
  /** The wall clock in milliseconds. Other clocks may stand still while the machine sleeps. */
  now(): number;
  random(): number;
}

export class Directory {
  readonly #surroundings: DirectorySurroundings;
  readonly #listeners = new Set<() => void>();
  readonly #mirror = new Mirror();
  #state: DirectoryState = { channels: undefined, isCurrent: false };
  #token: string | undefined;
  #signalling: Signalling | undefined;
  #isStarted = false;
  #isHeld = false;
  #isRefused = false;
  #isCurrent = false;
  /** Whether the gateway has ever answered. Before that there is nothing to show. */
  #hasLists = false;
  /** When the present attempt began, or the connection became current. */
  #since = 0;
  #roundTripMs = 0;
  #attempt = 0;
  /** Whether a gateway closed with 1012, and no attempt has succeeded since. */
  #isRestarting = false;
  #ended: Ended | undefined;
  #retryAt = 0;
  /** Where to connect, if the gateway named another address. An attempt that fails forgets it. */
  #url: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #doubtTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #publishTimer: ReturnType<typeof setTimeout> | undefined;
  #isUnpublished = false;

  constructor(surroundings: DirectorySurroundings) {
    this.#surroundings = surroundings;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getState = (): DirectoryState => this.#state;

  /** Watch until `stop`. */
  start(): void {
    this.#isStarted = true;
    this.#connect();
  }

  /** Watch no longer, because the page goes away. The lists stay, and the next `start` asks for what was missed. */
  stop(): void {
    this.#isStarted = false;
    this.#disconnect();
    this.#publish();
  }

  /** Use another token from now on. If the gateway refused to show channels, ask again. */
  useToken(token: string | undefined): void {
    if (token === this.#token) return;
    this.#token = token;
    if (!this.#isRefused) return;
    this.#isRefused = false;
    this.#connect();
  }

  /** While it is held, it opens no connection. The one that it has stays, and an attempt only if it is soon done. */
  hold(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (!isHeld) return this.check();
    const signalling = this.#signalling;
    if (!signalling || this.#isCurrent) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#replace(signalling), this.#patienceMs);
  }

  /**
   * The page is visible again, or the network may have changed: make sure that the lists are true.
   *
   * A wait that the gateway asked for goes on.
   */
  check(): void {
    const age = this.#surroundings.now() - this.#since;
    if (this.#signalling && this.#isCurrent) this.#ping(this.#patienceMs);
    else if (this.#signalling && age > this.#patienceMs) this.#replace(this.#signalling);
    else if (this.#ended?.code === BROKEN || this.#surroundings.now() >= this.#retryAt) this.#connect();
  }

  get #patienceMs(): number {
    return Math.min(Math.max(LEAST_PATIENCE_MS, 3 * this.#roundTripMs), MOST_PATIENCE_MS);
  }

  #connect(): void {
    if (!this.#isStarted || this.#isHeld || this.#isRefused || this.#signalling) return;
    clearTimeout(this.#timer);
    const { url, openSocket, now, random } = this.#surroundings;
    const signalling: Signalling = new Signalling(
      this.#url ?? url,
      {
        opened: () => void this.#watch(signalling),
        event: (event) => signalling === this.#signalling && this.#take(event),
        ended: (ended) => this.#lost(signalling, ended),
      },
      openSocket,
      random,
    );
    this.#signalling = signalling;
    this.#since = now();
    this.#timer = setTimeout(() => signalling.drop("the gateway did not answer"), ATTEMPT_MS);
  }

  async #watch(signalling: Signalling): Promise<void> {
    const { now } = this.#surroundings;
    const askedAt = now();
    const after = this.#mirror.after(MOST_AFTER_CHARACTERS);
    const token = this.#token !== undefined && { token: this.#token };
    try {
      const watched = await signalling.request("watch", { prefix: PREFIX, after, ...token });
      if (signalling !== this.#signalling) return;
      clearTimeout(this.#timer);
      this.#mirror.start(watched, PREFIX);
      this.#since = now();
      this.#roundTripMs = this.#since - askedAt;
      this.#isCurrent = this.#hasLists = true;
      this.#isRestarting = false;
      this.#ended = undefined;
      this.#pingTimer = setInterval(() => this.#ping(UNANSWERED_MS), LIMITS.pingInterval * 1000);
      this.#publish();
    } catch (error) {
      // If the connection ended, the handler knows.
      if (!(error instanceof RequestError) || signalling !== this.#signalling) return;
      if (REFUSALS.includes(error.code)) this.#refuse();
      else signalling.giveUp({ code: closeCodeOf(error.code), reason: error.message });
    }
  }

  #take(event: GatewayEvent): void {
    if (event.type === "voice_state" && this.#mirror.take(event.data)) this.#publishSoon();
  }

  /** Outside a channel the gateway answers that nobody has joined. Any answer shows that it is there. */
  #ping(patienceMs: number): void {
    const signalling = this.#signalling;
    if (!signalling || this.#doubtTimer !== undefined) return;
    const timer = setTimeout(() => this.#replace(signalling), patienceMs);
    this.#doubtTimer = timer;
    const answered = () => {
      if (timer !== this.#doubtTimer) return;
      clearTimeout(timer);
      this.#doubtTimer = undefined;
    };
    signalling.request("ping", {}).then(answered, answered);
  }

  /** The connection is dead, although nobody closed it. */
  #replace(signalling: Signalling): void {
    if (signalling !== this.#signalling) return;
    this.#disconnect();
    this.#ended = { code: BROKEN, reason: "the gateway did not answer" };
    this.#retryAt = 0;
    this.#publish();
    this.#connect();
  }

  #lost(signalling: Signalling, ended: Ended): void {
    if (signalling !== this.#signalling) return;
    const { url, now, random } = this.#surroundings;
    if (this.#isCurrent && now() - this.#since >= SETTLED_MS) this.#attempt = 0;
    if (ended.code === RESTARTING) this.#isRestarting = true;
    this.#url = urlAfter(ended, url);
    const delay = delayMs(ended, this.#attempt++, random(), this.#isRestarting);
    if (delay === undefined) return this.#refuse();
    this.#disconnect();
    this.#ended = ended;
    this.#retryAt = now() + delay;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#publish();
  }

  /** The gateway shows no channels to this person. */
  #refuse(): void {
    this.#isRefused = true;
    this.#hasLists = false;
    this.#disconnect();
    this.#publish();
  }

  #disconnect(): void {
    const signalling = this.#signalling;
    this.#signalling = undefined;
    this.#isCurrent = false;
    clearTimeout(this.#doubtTimer);
    this.#doubtTimer = undefined;
    clearTimeout(this.#timer);
    clearInterval(this.#pingTimer);
    signalling?.close();
  }

  #publishSoon(): void {
    this.#isUnpublished = true;
    if (this.#publishTimer === undefined) this.#publish();
  }

  #publish(): void {
    clearTimeout(this.#publishTimer);
    this.#isUnpublished = false;
    this.#publishTimer = setTimeout(() => {
      this.#publishTimer = undefined;
      if (this.#isUnpublished) this.#publish();
    }, TOGETHER_MS);
    const channels = this.#hasLists ? listed(this.#mirror) : undefined;
    this.#state = { channels, isCurrent: this.#isCurrent };
    for (const listener of this.#listeners) listener();
  }
}

function listed({ channels }: Mirror): ListedChannel[] {
  const lists = [...channels].map(([channelId, members]) => {
    const participants = [...members.values()].sort((one, other) => compare(one.joinedAt, other.joinedAt));
    return { channelId, participants };
  });
  return lists.sort((one, other) => compare(one.channelId, other.channelId));
}

/** Plain comparison: comparing by the rules of a language takes 20 times as long. */
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
