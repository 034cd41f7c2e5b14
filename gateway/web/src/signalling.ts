/**
 * The connection to the gateway: requests and answers, events, and pings to notice a lost WebSocket.
 *
 * It knows the envelope of messages but not their meaning. From `startSession` on it outlives its WebSocket: it resumes
 * the session on another one, and sends the requests again that got lost. It ends once, with a close code that says
 * what to do next. After that every request fails with `ConnectionEnded`, and no handler is called again.
 */
import {
  LIMITS,
  type Closing,
  type ErrorCode,
  type ErrorData,
  type GatewayEvent,
  type GatewayMessage,
  type Joined,
  type RequestMap,
  type RequestType,
  type Response,
  type SessionResumed,
} from "./protocol";
import { BROKEN, ResumableSocket, type Socket, type Verdict } from "./resumableSocket";

export { BROKEN, type Socket } from "./resumableSocket";

/** How often to check whether the gateway still answers. */
const LOOK_EVERY_MS = 500;
/** After this long without an answer to a ping, the WebSocket may be lost. */
const UNANSWERED_MS = 2_500;
/** The same for a ping that follows a doubt, at least. */
const DOUBTFUL_MS = 200;
/** Longest wait for an answer. A join may have to wait up to 5 s, while the gateway closes an older session. */
const ANSWER_TIMEOUT_MS = 15_000;
/** The same in a session, which may have to resume first. */
const SESSION_ANSWER_TIMEOUT_MS = 45_000;
/** `resume_session` comes first on its socket, so no other request there has this id. */
const RESUME_ID = 0;
/** A browser reports this code for a close frame without a code (RFC 6455, section 7.4.1). */
const NO_CODE = 1005;
/** A close frame has room for 123 bytes of UTF-8, which is 41 characters of up to 3 bytes. Browsers throw at more. */
const MAX_CLOSE_REASON = 41;

/** How a connection ended. `code` is a WebSocket close code, or 1006 if there was none. */
export interface Ended {
  readonly code: number;
  readonly reason: string;
  /** How long the gateway asks to wait before coming back, in milliseconds. */
  readonly retryAfterMs?: number;
  /** The address of the WebSocket where to join again, if it is another one. */
  readonly url?: string;
}

export interface SignallingHandlers {
  opened(): void;
  event(event: GatewayEvent): void;
  /** The session goes on over another WebSocket. If `state.lost`, the rest of `state` replaces what is known. */
  resumed?(state: SessionResumed): void;
  /** Whether the WebSocket may be lost, so that attempts to resume run. Called when that changes. */
  resuming?(isResuming: boolean): void;
  /** `socket` is open if the gateway knows the session no longer. It may join again there. */
  ended(ended: Ended, socket?: Socket): void;
}

export type OpenSocket = (url: string, subprotocol: string) => Socket;

/** The gateway answered a request with an error. */
export class RequestError extends Error {
  override readonly name = "RequestError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly path?: string,
  ) {
    super(message);
  }
}

/** The connection ended, so the request gets no answer. */
export class ConnectionEnded extends Error {
  override readonly name = "ConnectionEnded";

  constructor(readonly ended: Ended) {
    super(`the connection to the gateway ended (${ended.code})`);
  }
}

/** The gateway has served the request, but its answer is lost. */
export class AnswerLost extends Error {
  override readonly name = "AnswerLost";
}

interface PendingRequest {
  readonly type: RequestType;
  readonly text: string;
  readonly timer: ReturnType<typeof setTimeout>;
  resolve(data: never): void;
  reject(error: Error): void;
}

/** Requests whose `ok` is empty. The answer of one that was served holds nothing to miss. */
const EMPTY_ANSWERS: readonly RequestType[] = [
  ...(["connect_transport", "set_ice_parameters", "pause", "resume", "close", "set_layers", "set_priority", "ping"] as const),
  ...(["remove_participant", "readmit_participant", "mute", "unmute", "deafen", "undeafen"] as const),
  ...(["lock_channel", "unlock_channel", "limit_members", "end_channel"] as const),
];

export class Signalling {
  readonly #socket: ResumableSocket;
  readonly #handlers: SignallingHandlers;
  readonly #pending = new Map<number, PendingRequest>();
  #session: Pick<Joined, "sessionId" | "sessionSecret" | "pingIntervalMs"> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #doubtTimer: ReturnType<typeof setTimeout> | undefined;
  #pingedAt = 0;
  #isPingUnanswered = false;
  /** How often the session has changed its WebSocket. */
  #resumptions = 0;
  #nextId = 1;
  #lastEvent = 0;
  #lastAnswer = 0;
  #unacknowledged = 0;
  #closing: Closing | undefined;
  #ended: Ended | undefined;

  /** `socket` is an open one to begin with, in place of a new one. */
  constructor(
    url: string,
    handlers: SignallingHandlers,
    openSocket: OpenSocket = (address, subprotocol) => new WebSocket(address, subprotocol),
    random: () => number = Math.random,
    socket?: Socket,
  ) {
    this.#handlers = handlers;
    this.#socket = new ResumableSocket(
      () => openSocket(url, LIMITS.subprotocol),
      {
        opened: () => handlers.opened(),
        received: (text) => this.#received(text),
        resumeRequest: () => this.#resumeRequest(),
        judge: (text) => this.#judge(text),
        resumed: (state) => this.#resumed(state),
        over: (socket) => this.#end({ code: BROKEN, reason: "the session is over" }, { socket }),
        closed: (code, reason) => this.#closed(code, reason),
        gaveUp: () => this.drop("the gateway did not answer"),
        resuming: (isResuming) => handlers.resuming?.(isResuming),
      },
      random,
      socket,
    );
  }

  /**
   * Send a request and wait for its answer.
   *
   * Rejects with `RequestError` if the gateway answers with an error, and with `ConnectionEnded` if the connection ends
   * first. Rejects with `AnswerLost` in the rare case that the gateway could not keep the answer. If no answer comes in
   * time, the connection counts as broken and is dropped.
   */
  request<T extends RequestType>(
    type: T,
    data: RequestMap[T]["data"],
    timeoutMs = this.#session ? SESSION_ANSWER_TIMEOUT_MS : ANSWER_TIMEOUT_MS,
  ): Promise<RequestMap[T]["ok"]> {
    const ended = this.#ended;
    if (ended) return Promise.reject(new ConnectionEnded(ended));
    const id = this.#nextId++;
    const text = JSON.stringify({ id, type, data });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.drop(`no answer to ${type}`), timeoutMs);
      this.#pending.set(id, { type, text, resolve, reject, timer });
      this.#socket.send(text);
    });
  }

  /**
   * From now on there is a session to resume, and the gateway gets a `ping` every `pingIntervalMs`.
   *
   * Pages cannot see WebSocket pings, and TCP alone notices a loss too late. The pings also acknowledge.
   */
  startSession(session: Pick<Joined, "sessionId" | "sessionSecret" | "pingIntervalMs">): void {
    this.#session = session;
    this.#pingedAt = performance.now();
    clearInterval(this.#pingTimer);
    this.#pingTimer = setInterval(() => this.#look(session.pingIntervalMs), LOOK_EVERY_MS);
  }

  /**
   * Media stands still, so the WebSocket may be lost as well. Ask the gateway, and resume if it does not answer.
   *
   * `whenSilent` is called in that case.
   */
  doubt(whenSilent: () => void = () => undefined): void {
    if (!this.#session || this.#ended || this.#doubtTimer !== undefined || this.#socket.isResuming) return;
    if (!this.#isPingUnanswered) this.#ping();
    const patience = Math.max(DOUBTFUL_MS, 3 * this.#socket.roundTripMs);
    this.#doubtTimer = setTimeout(() => {
      this.#doubtTimer = undefined;
      if (!this.#isSilent) return;
      this.#socket.resume();
      whenSilent();
    }, patience);
  }

  /** The machine has another network, or was asleep. The WebSocket is probably lost, so resume at once. */
  networkChanged(): void {
    if (this.#session && !this.#ended) this.#socket.resumeNow();
  }

  /** Close the connection with a close frame, because this side wants to. */
  close(code = 1000, reason = "left"): void {
    this.#end({ code, reason }, { closeWith: code });
  }

  /** Close the connection and treat it as broken. */
  drop(reason: string): void {
    this.giveUp({ code: BROKEN, reason });
  }

  /** Close the connection and pass `ended` to the handlers, in place of a close code. */
  giveUp(ended: Ended): void {
    this.#end(ended, { closeWith: 1000 });
  }

  /** Whether nothing has come since a ping that waits for its answer. */
  get #isSilent(): boolean {
    return this.#isPingUnanswered && this.#socket.heardAt <= this.#pingedAt;
  }

  #look(intervalMs: number): void {
    const waited = performance.now() - this.#pingedAt;
    if (this.#isSilent && waited >= UNANSWERED_MS) this.#socket.resume();
    else if (waited >= intervalMs && !this.#isPingUnanswered) this.#ping();
  }

  #ping(): void {
    const sentAt = performance.now();
    const resumptions = this.#resumptions;
    this.#pingedAt = sentAt;
    this.#isPingUnanswered = true;
    this.#unacknowledged = 0;
    const answered = () => {
      // The answer to a ping that was sent twice says nothing about the round trip.
      if (resumptions !== this.#resumptions) return;
      this.#isPingUnanswered = false;
      this.#socket.roundTripMs = performance.now() - sentAt;
    };
    this.request("ping", { lastEvent: this.#lastEvent, lastAnswer: this.#lastAnswer }).then(answered, answered);
  }

  #received(text: unknown): void {
    const message = parse(text);
    if (!message) return this.drop("the gateway sent something that is no message");
    if ("id" in message) this.#answered(message);
    else this.#event(message);
    this.#acknowledgeSoon(Math.min(String(text).length, keptSize(message)));
  }

  /** The gateway keeps everything until it is acknowledged. */
  #acknowledgeSoon(characters: number): void {
    this.#unacknowledged += characters;
    if (this.#session && !this.#ended && this.#unacknowledged >= LIMITS.acknowledgeBytes && !this.#isPingUnanswered) this.#ping();
  }

  #answered(message: Response): void {
    const { id } = message;
    const pending = id === null ? undefined : this.#pending.get(id);
    if (id === null || !pending) return;
    this.#lastAnswer = Math.max(this.#lastAnswer, id);
    this.#settle(id, pending, () => {
      if (message.type === "ok") pending.resolve(message.data as never);
      else pending.reject(requestError(message.data));
    });
  }

  #settle(id: number, { timer }: PendingRequest, how: () => void): void {
    this.#pending.delete(id);
    clearTimeout(timer);
    how();
  }

  #event(event: GatewayEvent): void {
    if (event.seq !== undefined) {
      if (event.seq <= this.#lastEvent) return;
      this.#lastEvent = event.seq;
    }
    if (event.type === "closing") this.#closing = event.data;
    this.#handlers.event(event);
  }

  #resumeRequest(): string {
    const { sessionId, sessionSecret } = this.#session ?? { sessionId: "", sessionSecret: "" };
    const data = { sessionId, sessionSecret, lastEvent: this.#lastEvent, lastAnswer: this.#lastAnswer };
    return JSON.stringify({ id: RESUME_ID, type: "resume_session", data });
  }

  #judge(text: unknown): Verdict {
    const message = parse(text);
    if (!message || !("id" in message)) return undefined;
    if (message.type === "ok") return message.data as SessionResumed;
    return message.data.code === "rate_limited" || message.data.code === "internal" ? "retry" : "over";
  }

  /** Send the lost requests again. The gateway sends the lost answers and events by itself. */
  #resumed(state: SessionResumed): void {
    this.#isPingUnanswered = false;
    this.#resumptions += 1;
    if (state.lost) this.#lastEvent = state.lastEvent;
    for (const [id, pending] of [...this.#pending]) {
      if (id > state.lastRequest) this.#socket.send(pending.text);
      else if (state.lost) this.#settle(id, pending, () => settleServed(pending));
    }
    this.#handlers.resumed?.(state);
  }

  /** Whether the session may live on without this socket: only if the connection broke. */
  #closed(code: number, reason: string): boolean {
    const ended = this.#whyClosed(code, reason);
    if (this.#session && ended.code === BROKEN) return true;
    this.#end(ended);
    return false;
  }

  /** How the connection ended. A `closing` event says more than the close frame, and may arrive without one. */
  #whyClosed(code: number, reason: string): Ended {
    const isTold = code !== NO_CODE && code !== BROKEN;
    if (!this.#closing) return { code: isTold ? code : BROKEN, reason };
    const { code: announced, reason: why, retryAfterMs, url } = this.#closing;
    const more = { ...(retryAfterMs !== undefined && { retryAfterMs }), ...(url !== undefined && { url }) };
    return { code: isTold ? code : announced, reason: why, ...more };
  }

  #end(ended: Ended, { closeWith = 1000, socket }: { closeWith?: number; socket?: Socket } = {}): void {
    if (this.#ended) return;
    this.#ended = ended;
    clearInterval(this.#pingTimer);
    clearTimeout(this.#doubtTimer);
    this.#socket.close(closeWith, ended.reason.slice(0, MAX_CLOSE_REASON));
    for (const [id, pending] of [...this.#pending]) {
      this.#settle(id, pending, () => pending.reject(new ConnectionEnded(ended)));
    }
    this.#handlers.ended(ended, socket);
  }
}

function settleServed({ type, resolve, reject }: PendingRequest): void {
  if (EMPTY_ANSWERS.includes(type)) resolve({} as never);
  else reject(new AnswerLost(`the answer to ${type} is lost`));
}

function requestError({ code, message, path }: ErrorData): RequestError {
  return new RequestError(code, message, path);
}

function parse(text: unknown): GatewayMessage | undefined {
  try {
    const message: unknown = JSON.parse(String(text));
    return typeof message === "object" && message !== null ? (message as GatewayMessage) : undefined;
  } catch {
    return undefined;
  }
}

/** The most characters in which the gateway keeps a message. It keeps a change of the list without the list. */
function keptSize(message: GatewayMessage): number {
  if (!("type" in message) || message.type !== "voice_state") return Infinity;
  return LIMITS.voiceStateBytes + JSON.stringify(message.data.participant).length;
}
