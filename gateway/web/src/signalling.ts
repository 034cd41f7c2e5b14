/**
 * One WebSocket to the gateway: requests and answers, events, and pings to notice a dead connection.
 *
 * It knows the envelope of messages but not their meaning. It ends once, with a close code that says what to do next.
 * After that every request fails with `ConnectionEnded`, and no handler is called again.
 */
import {
  LIMITS,
  type Closing,
  type ErrorCode,
  type ErrorData,
  type GatewayEvent,
  type GatewayMessage,
  type RequestMap,
  type RequestType,
} from "./protocol";

/** Longest wait for the WebSocket to open. A browser alone would wait for minutes. */
const OPEN_TIMEOUT_MS = 10_000;
/** How often to check whether the gateway is still alive. */
const LOOK_EVERY_MS = 1_000;
/** Longest wait for an answer. A join may have to wait up to 5 s, while the gateway closes an older session. */
const ANSWER_TIMEOUT_MS = 15_000;
/** A browser reports this code for a close frame without a code (RFC 6455, section 7.4.1). */
const NO_CODE = 1005;
/** A browser reports this code if the connection ended without a close frame. */
export const BROKEN = 1006;
/** A close frame has room for 123 bytes of UTF-8, which is 41 characters of up to 3 bytes. Browsers throw at more. */
const MAX_CLOSE_REASON = 41;
/** `WebSocket.OPEN`. The tests run without a `WebSocket` class. */
const OPEN = 1;

/** How a connection ended. `code` is a WebSocket close code, or 1006 if there was none. */
export interface Ended {
  readonly code: number;
  readonly reason: string;
  /** How long the gateway asks to wait before coming back, in milliseconds. */
  readonly retryAfterMs?: number;
}

export interface SignallingHandlers {
  opened(): void;
  event(event: GatewayEvent): void;
  ended(ended: Ended): void;
}

/** The part of a browser's WebSocket that is used here. Tests pass their own. */
export type Socket = Pick<WebSocket, "readyState" | "onopen" | "onmessage" | "onclose" | "send" | "close">;
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

interface PendingRequest {
  resolve(data: never): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

export class Signalling {
  readonly #socket: Socket;
  readonly #handlers: SignallingHandlers;
  readonly #pending = new Map<number, PendingRequest>();
  readonly #openTimer: ReturnType<typeof setTimeout>;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #heardAt = 0;
  #nextId = 1;
  #closing: Closing | undefined;
  #ended: Ended | undefined;

  constructor(
    url: string,
    handlers: SignallingHandlers,
    openSocket: OpenSocket = (address, subprotocol) => new WebSocket(address, subprotocol),
  ) {
    this.#handlers = handlers;
    this.#socket = openSocket(url, LIMITS.subprotocol);
    this.#openTimer = setTimeout(() => this.drop("the gateway did not answer"), OPEN_TIMEOUT_MS);
    this.#socket.onopen = () => {
      clearTimeout(this.#openTimer);
      handlers.opened();
    };
    this.#socket.onmessage = (message) => this.#received(message.data);
    this.#socket.onclose = (close) => this.#end(this.#whyClosed(close.code, close.reason));
  }

  /**
   * Send a request and wait for its answer.
   *
   * Rejects with `RequestError` if the gateway answers with an error, and with `ConnectionEnded` if the connection ends
   * first. If no answer comes in time, the connection counts as broken and is dropped.
   */
  request<T extends RequestType>(
    type: T,
    data: RequestMap[T]["data"],
    timeoutMs = ANSWER_TIMEOUT_MS,
  ): Promise<RequestMap[T]["ok"]> {
    const ended = this.#ended;
    if (ended) return Promise.reject(new ConnectionEnded(ended));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.drop(`no answer to ${type}`), timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      // After the gateway's close frame a browser only logs a complaint. `onclose` follows and ends this request.
      if (this.#socket.readyState === OPEN) this.#socket.send(JSON.stringify({ id, type, data }));
    });
  }

  /**
   * Send a `ping` request every `intervalMs`. Pages cannot see WebSocket pings, and TCP alone notices a loss too late.
   *
   * A gateway that stays silent for two intervals counts as dead. While `hasMedia` returns true it gets more time, the
   * same that it gives a client. After a gap in the network, media over UDP is back earlier than TCP.
   */
  keepAlive(intervalMs: number, hasMedia: () => boolean = () => false): void {
    clearInterval(this.#pingTimer);
    let [pingedAt, mediaAt] = [performance.now(), -Infinity];
    let unansweredSince: number | undefined;
    this.#heardAt = pingedAt;
    this.#pingTimer = setInterval(() => {
      const now = performance.now();
      if (hasMedia()) mediaAt = now;
      const silentFor = now - this.#heardAt;
      // In a hidden page this timer may run only once a minute. A gateway that got no ping owes no answer.
      if (unansweredSince === undefined || unansweredSince <= this.#heardAt) unansweredSince = undefined;
      else if (now - unansweredSince >= intervalMs) {
        const patience = now - mediaAt < intervalMs ? 1000 * LIMITS.mediaGrace : 2 * intervalMs;
        if (silentFor >= patience) return this.drop("no answer to ping");
      }
      if (now - pingedAt < intervalMs) return;
      pingedAt = now;
      unansweredSince ??= now;
      this.request("ping", {}, 1000 * LIMITS.mediaGrace).catch(() => undefined);
    }, LOOK_EVERY_MS);
  }

  /** Close the connection with a close frame, because this side wants to. */
  close(code = 1000, reason = "left"): void {
    this.#end({ code, reason }, code);
  }

  /** Close the connection and treat it as broken. */
  drop(reason: string): void {
    this.giveUp({ code: BROKEN, reason });
  }

  /** Close the connection and pass `ended` to the handlers, in place of a close code. */
  giveUp(ended: Ended): void {
    this.#end(ended, 1000);
  }

  #received(text: unknown): void {
    this.#heardAt = performance.now();
    const message = parse(text);
    if (!message) return this.drop("the gateway sent something that is no message");
    if (!("id" in message)) return this.#event(message);
    const { id } = message;
    const pending = id === null ? undefined : this.#pending.get(id);
    if (id === null || !pending) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (message.type === "ok") pending.resolve(message.data as never);
    else pending.reject(requestError(message.data));
  }

  #event(event: GatewayEvent): void {
    if (event.type === "closing") this.#closing = event.data;
    this.#handlers.event(event);
  }

  /** How the connection ended. A `closing` event says more than the close frame, and may arrive without one. */
  #whyClosed(code: number, reason: string): Ended {
    const isTold = code !== NO_CODE && code !== BROKEN;
    if (!this.#closing) return { code: isTold ? code : BROKEN, reason };
    const { code: announced, reason: why, retryAfterMs } = this.#closing;
    return { code: isTold ? code : announced, reason: why, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }

  #end(ended: Ended, closeWith?: number): void {
    if (this.#ended) return;
    this.#ended = ended;
    clearTimeout(this.#openTimer);
    clearInterval(this.#pingTimer);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    if (closeWith !== undefined) this.#socket.close(closeWith, ended.reason.slice(0, MAX_CLOSE_REASON));
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new ConnectionEnded(ended));
    }
    this.#pending.clear();
    this.#handlers.ended(ended);
  }
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
