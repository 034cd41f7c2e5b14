/**
 * One WebSocket to the gateway: requests and their answers, events, liveness.
 *
 * It knows the envelope and nothing of what the messages mean. It ends once, with the code that says what to do
 * next; after that every request fails with `ConnectionEnded` and no handler is called again.
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

/** Longest wait for the WebSocket to open, in milliseconds. Browsers alone would wait minutes. */
const OPEN_TIMEOUT_MS = 10_000;
/** How often is looked whether the gateway is still there. */
const LOOK_EVERY_MS = 1_000;
/** Longest wait for an answer. Joining may have to wait for an older session's cleaning up, at most 5 s. */
const ANSWER_TIMEOUT_MS = 15_000;
/** What a browser reports for a close without a code, and for none at all. */
const NO_CODE = 1005;
export const BROKEN = 1006;
/** A close frame has room for 123 bytes of UTF-8, three for each of these; browsers throw at more. */
const MAX_CLOSE_REASON = 41;
/** `WebSocket.OPEN`, which is not there where tests run. */
const OPEN = 1;

/** How a connection ended. `code` is a WebSocket close code, 1006 where there was none. */
export interface Ended {
  readonly code: number;
  readonly reason: string;
  /** The gateway's wish how long to stay away, in milliseconds. */
  readonly retryAfterMs?: number;
}

export interface SignallingHandlers {
  opened(): void;
  event(event: GatewayEvent): void;
  ended(ended: Ended): void;
}

/** What is used of a browser's WebSocket; tests bring their own. */
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

/** There is no connection any more, so the request has no answer. */
export class ConnectionEnded extends Error {
  override readonly name = "ConnectionEnded";

  constructor(readonly ended: Ended) {
    super(`the connection to the gateway ended (${ended.code})`);
  }
}

interface Waiting {
  resolve(data: never): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

export class Signalling {
  readonly #socket: Socket;
  readonly #handlers: SignallingHandlers;
  readonly #waiting = new Map<number, Waiting>();
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
   * Rejects with `RequestError` when the gateway says no, with `ConnectionEnded` when the connection goes first. An
   * answer that does not come at all means that the connection is sick: it is dropped.
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
      this.#waiting.set(id, { resolve, reject, timer });
      // Between the gateway's close frame and `onclose`, which ends this request too, a browser only complains.
      if (this.#socket.readyState === OPEN) this.#socket.send(JSON.stringify({ id, type, data }));
    });
  }

  /**
   * Ask for a sign of life every `intervalMs`: a browser is shown no WebSocket pings, and its TCP waits minutes.
   *
   * A gateway that has said nothing for two intervals is given up. While `hasMedia` says that media gets through, it has
   * as long as it gives us itself: after a gap in the network UDP is back before TCP.
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
      // A browser may let a hidden page look but once a minute: what was not asked needs no answer.
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

  /** Close in an orderly way, on our own account. */
  close(code = 1000, reason = "left"): void {
    this.#end({ code, reason }, code);
  }

  /** Give the connection up as broken, as if it had been lost. */
  drop(reason: string): void {
    this.giveUp({ code: BROKEN, reason });
  }

  /** Give the connection up, with what its handlers are to be told instead of the close code. */
  giveUp(ended: Ended): void {
    this.#end(ended, 1000);
  }

  #received(text: unknown): void {
    this.#heardAt = performance.now();
    const message = parse(text);
    if (!message) return this.drop("the gateway sent something that is no message");
    if (!("id" in message)) return this.#event(message);
    const { id } = message;
    const waiting = id === null ? undefined : this.#waiting.get(id);
    if (id === null || !waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (message.type === "ok") waiting.resolve(message.data as never);
    else waiting.reject(requestError(message.data));
  }

  #event(event: GatewayEvent): void {
    if (event.type === "closing") this.#closing = event.data;
    this.#handlers.event(event);
  }

  /** `closing` says more than the close frame, and sometimes comes where that one does not. */
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
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new ConnectionEnded(ended));
    }
    this.#waiting.clear();
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
