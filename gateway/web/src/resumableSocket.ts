/**
 * The WebSocket of a session, and the attempts to put another one in its place.
 *
 * The newest socket on which the gateway resumed the session is the current one. An older socket stays open until then,
 * because closing the gateway's current socket ends the session. For the same reason, nothing closes an attempt that
 * has asked to resume and has no answer yet: the gateway may have taken it.
 */
import type { SessionResumed } from "./protocol";
import { Resumption } from "./resumption";

/** Longest wait for the first WebSocket to open. A browser alone would wait for minutes. */
const OPEN_TIMEOUT_MS = 10_000;
/** A browser reports this code if the connection ended without a close frame. */
export const BROKEN = 1006;
/** `WebSocket.CONNECTING` and `WebSocket.OPEN`. The tests run without a `WebSocket` class. */
const CONNECTING = 0;
const OPEN = 1;

/** The part of a browser's WebSocket that is used here. Tests pass their own. */
export type Socket = Pick<WebSocket, "readyState" | "onopen" | "onmessage" | "onclose" | "send" | "close">;

/** The gateway's answer on a new socket: the session's state, `retry` after a passing refusal, or `over`. */
export type Verdict = SessionResumed | "retry" | "over" | undefined;

export interface ResumableSocketHandlers {
  /** The first socket is open. */
  opened(): void;
  received(text: unknown): void;
  /** The first message on another socket. */
  resumeRequest(): string;
  /** The verdict in a message on a socket that has asked to resume. Undefined if the message is no answer. */
  judge(text: unknown): Verdict;
  resumed(state: SessionResumed): void;
  /** The session is over. A new one may begin on this socket, which is open. */
  over(socket: Socket): void;
  /** The current socket closed. Returns whether the session may live on. */
  closed(code: number, reason: string): boolean;
  /** No attempt succeeded for so long that the session must be over. */
  gaveUp(): void;
  /** Attempts began or ended. */
  resuming(isResuming: boolean): void;
}

export class ResumableSocket {
  readonly #open: () => Socket;
  readonly #handlers: ResumableSocketHandlers;
  readonly #resumption: Resumption;
  readonly #openTimer: ReturnType<typeof setTimeout>;
  #current: Socket | undefined;
  /** Sockets without an answer yet. The last one is the newest. */
  readonly #attempts = new Set<Socket>();
  #newest: Socket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heardAt = performance.now();
  #isClosed = false;
  /** The newest round trip of a ping, in milliseconds. */
  roundTripMs = 0;

  /** `socket` is the first one, if there is one already. */
  constructor(open: () => Socket, handlers: ResumableSocketHandlers, random: () => number, socket = open()) {
    this.#open = open;
    this.#handlers = handlers;
    this.#resumption = new Resumption(random);
    this.#adopt(socket);
    this.#openTimer = setTimeout(() => this.#handlers.gaveUp(), OPEN_TIMEOUT_MS);
    socket.onopen = () => this.#opened();
    // A socket that an older session left behind is open already.
    if (socket.readyState === OPEN) queueMicrotask(() => this.#opened());
  }

  /** The time at which the gateway was last heard on any socket. */
  get heardAt(): number {
    return this.#heardAt;
  }

  get isResuming(): boolean {
    return this.#resumption.isRunning;
  }

  /** Send on the current socket. Without an open one nothing is sent. */
  send(text: string): void {
    // After the gateway's close frame a browser only logs a complaint.
    if (this.#current?.readyState === OPEN) this.#current.send(text);
  }

  /** The current socket may be lost. Try to resume on another one, unless attempts run already. */
  resume(): void {
    this.#begin(() => this.#resumption.begin(performance.now()));
  }

  /** The network changed. Try to resume on another socket at once. */
  resumeNow(): void {
    this.#begin(() => this.#resumption.hurry(performance.now()));
  }

  /** Close every socket with this close code. No handler is called any more. */
  close(code: number, reason: string): void {
    this.#isClosed = true;
    this.#stop();
    for (const socket of [this.#current, ...this.#attempts]) if (socket) discard(socket, code, reason);
    this.#attempts.clear();
    this.#current = undefined;
  }

  #begin(how: () => void): void {
    const isNew = !this.#resumption.isRunning;
    how();
    this.#step();
    if (isNew && this.#resumption.isRunning) this.#handlers.resuming(true);
  }

  #opened(): void {
    clearTimeout(this.#openTimer);
    if (!this.#isClosed) this.#handlers.opened();
  }

  #adopt(socket: Socket): void {
    this.#current = socket;
    socket.onmessage = ({ data }) => {
      this.#heardAt = performance.now();
      this.#handlers.received(data);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(this.#openTimer);
      this.#current = undefined;
      if (this.#handlers.closed(code, reason)) this.resume();
    };
  }

  /** Begin the next attempt if it is due, and set the timer for the step after it. */
  #step(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed || !this.#resumption.isRunning) return;
    const now = performance.now();
    const overAt = this.#resumption.overAt(this.#heardAt);
    if (now >= overAt) {
      this.#stop();
      return this.#handlers.gaveUp();
    }
    if (this.#current && this.#resumption.isNeedless(now, this.#heardAt)) return this.#stop();
    if (now >= this.#resumption.dueAt) this.#attempt(now);
    const next = Math.min(this.#resumption.dueAt, overAt);
    this.#timer = setTimeout(() => this.#step(), Math.max(0, next - now));
  }

  #attempt(now: number): void {
    // Browsers connect only one WebSocket to a host at a time. So the new one would wait for this one.
    if (this.#newest?.readyState === CONNECTING) this.#drop(this.#newest);
    this.#resumption.started(now, this.roundTripMs);
    const socket = this.#open();
    this.#newest = socket;
    this.#attempts.add(socket);
    socket.onopen = () => socket.send(this.#handlers.resumeRequest());
    socket.onmessage = ({ data }) => this.#answered(socket, data);
    socket.onclose = () => this.#failed(socket);
  }

  #answered(socket: Socket, text: unknown): void {
    const verdict = this.#handlers.judge(text);
    if (verdict === undefined) return;
    this.#heardAt = performance.now();
    if (verdict === "over") {
      this.#attempts.delete(socket);
      this.#stop();
      socket.onopen = socket.onmessage = socket.onclose = null;
      return this.#handlers.over(socket);
    }
    if (verdict === "retry") {
      this.#drop(socket);
      return this.#failed(socket);
    }
    this.#succeeded(socket, verdict);
  }

  #succeeded(socket: Socket, state: SessionResumed): void {
    const old = this.#current;
    this.#attempts.delete(socket);
    this.#adopt(socket);
    // The gateway has dropped the old one. An attempt that still connects has not asked for anything.
    if (old) discard(old);
    if (this.#newest?.readyState === CONNECTING) this.#drop(this.#newest);
    this.#newest = undefined;
    this.#stop();
    this.#handlers.resumed(state);
  }

  #failed(socket: Socket): void {
    this.#attempts.delete(socket);
    if (socket !== this.#newest) return;
    this.#newest = undefined;
    this.#resumption.failed(performance.now());
    this.#step();
  }

  #drop(socket: Socket): void {
    this.#attempts.delete(socket);
    discard(socket);
  }

  #stop(): void {
    clearTimeout(this.#openTimer);
    clearTimeout(this.#timer);
    if (!this.#resumption.isRunning) return;
    this.#resumption.end();
    if (!this.#isClosed) this.#handlers.resuming(false);
  }
}

function discard(socket: Socket, code = 1000, reason = ""): void {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.close(code, reason);
}
