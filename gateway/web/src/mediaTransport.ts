/**
 * One direction's transport: opened when it is first needed, opened again when it was lost.
 *
 * Losing it costs its producers or consumers, never the session: whoever uses it is told, and asks for it anew. The
 * others see producers go and come, so a transport that worked is not given up while the gateway keeps it: a gap heals
 * by itself, a longer one by restarting ICE, however often it takes.
 */
import type { Device, types } from "mediasoup-client";

import type { Direction, TransportCreated, TransportState } from "./protocol";
import { RequestError, type Signalling } from "./signalling";

/**
 * How long a browser may report `disconnected`, or try after a restart, before ICE is restarted (again).
 *
 * Firefox says `disconnected` as soon as it cannot send, and a restart within a gap only makes it fail.
 */
const RESTART_AFTER_MS = 6_000;
/** From one restart to the next at least: Firefox without an interface fails within milliseconds. */
const LEAST_BETWEEN_RESTARTS_MS = 1_000;
/** How long a transport that worked may be without a connection before it is given up. */
const GIVE_UP_AFTER_MS = 30_000;
const FIRST_REOPEN_MS = 500;
const LONGEST_REOPEN_MS = 30_000;

export interface Link {
  /** Resolves when the device knows what the gateway can do; nothing can be opened before. */
  readonly device: Promise<Device>;
  readonly signalling: Signalling;
  readonly iceServers: RTCIceServer[];
}

export interface MediaTransportHandlers {
  /** Its producers or consumers are gone; `get()` opens another. */
  lost(): void;
  /** Whether media can get through, as far as is known. */
  flowing(flows: boolean): void;
}

export class MediaTransport {
  readonly #direction: Direction;
  readonly #link: Link;
  readonly #handlers: MediaTransportHandlers;
  readonly #configure: (transport: types.Transport) => void;
  #opening: Promise<types.Transport> | undefined;
  #transport: types.Transport | undefined;
  #losses = 0;
  #wasConnected = false;
  #restartedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #giveUp: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** `configure` is called with each new transport before it is used. */
  constructor(
    direction: Direction,
    link: Link,
    handlers: MediaTransportHandlers,
    configure: (transport: types.Transport) => void = () => undefined,
  ) {
    this.#direction = direction;
    this.#link = link;
    this.#handlers = handlers;
    this.#configure = configure;
  }

  /** The transport, opened if there is none. Rejects when it cannot be had. */
  get(): Promise<types.Transport> {
    if (!this.#opening) {
      const opening = this.#open();
      this.#opening = opening;
      // Who comes next may try again.
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
    }
    return this.#opening;
  }

  /** Whether media gets through, as far as the browser knows. */
  get isConnected(): boolean {
    return this.#transport?.connectionState === "connected";
  }

  /**
   * Resolves once the browser can open what it is sent; never where the transport is lost first.
   *
   * Firefox counts nothing that comes before, and asks for the key frame that it lost a second later.
   */
  connected(transport: types.Transport): Promise<void> {
    if (transport.connectionState === "connected") return Promise.resolve();
    return new Promise((resolve) => {
      transport.on("connectionstatechange", (state) => state === "connected" && resolve());
    });
  }

  /** The machine has a network again, perhaps another one: what has no connection need not wait for its restart. */
  networkIsBack(): void {
    if (this.#transport && this.#giveUp !== undefined) this.#restartSoon(this.#transport);
  }

  /** The gateway's word about one of this session's transports. */
  stateChanged(transportId: string, state: TransportState): void {
    if (transportId !== this.#transport?.id) return;
    if (state === "failed" || state === "closed") this.#lose(false);
  }

  close(): void {
    this.#closed = true;
    this.#clearTimers();
    this.#transport?.close();
    this.#transport = undefined;
  }

  async #open(): Promise<types.Transport> {
    const { signalling } = this.#link;
    const device = await this.#link.device;
    if (this.#losses > 0) await this.#sleep(Math.min(FIRST_REOPEN_MS * 2 ** (this.#losses - 1), LONGEST_REOPEN_MS));
    // With the capabilities given here, none of the many `consume` has to repeat them.
    const receiving = this.#direction === "receive" ? { rtpCapabilities: device.recvRtpCapabilities } : {};
    const created = await signalling.request("create_transport", { direction: this.#direction, ...receiving });
    if (this.#closed) throw new Error("closed");
    const transport = this.#create(device, created);
    transport.on("connect", ({ dtlsParameters }, done, failed) => {
      signalling.request("connect_transport", { transportId: transport.id, dtlsParameters }).then(() => done(), failed);
    });
    transport.on("connectionstatechange", (state) => this.#connectionState(transport, state));
    this.#configure(transport);
    this.#wasConnected = false;
    this.#transport = transport;
    return transport;
  }

  /** Never over when this is closed meanwhile: there is nothing left to be done then. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, ms);
    });
  }

  #create(device: Device, created: TransportCreated): types.Transport {
    const { iceServers } = this.#link;
    const { transportId: id, iceParameters, iceCandidates, dtlsParameters } = created;
    const options = { id, iceParameters, iceCandidates, dtlsParameters, iceServers };
    return this.#direction === "send" ? device.createSendTransport(options) : device.createRecvTransport(options);
  }

  #connectionState(transport: types.Transport, state: types.ConnectionState): void {
    if (transport !== this.#transport) return;
    if (state === "connected") {
      this.#clearTimers();
      this.#wasConnected = true;
      this.#losses = 0;
      this.#handlers.flowing(true);
    } else if (state === "disconnected") {
      this.#restartAfter(RESTART_AFTER_MS, transport);
    } else if (state === "failed") {
      // What never worked may do so with a new transport; a restart asks the same of the same gateway.
      if (!this.#wasConnected) return this.#lose(true);
      this.#handlers.flowing(false);
      this.#restartSoon(transport);
    }
  }

  #restartSoon(transport: types.Transport): void {
    this.#restartAfter(this.#restartedAt + LEAST_BETWEEN_RESTARTS_MS - performance.now(), transport);
  }

  #restartAfter(ms: number, transport: types.Transport): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#restartIce(transport), Math.max(0, ms));
    this.#giveUp ??= setTimeout(() => this.#lose(true), GIVE_UP_AFTER_MS);
  }

  async #restartIce(transport: types.Transport): Promise<void> {
    this.#restartedAt = performance.now();
    this.#restartAfter(RESTART_AFTER_MS, transport);
    try {
      const { iceParameters } = await this.#link.signalling.request("restart_ice", { transportId: transport.id });
      if (transport === this.#transport) await transport.restartIce({ iceParameters });
    } catch (error) {
      // What the gateway does not know any more no restart brings back. Else there is another one, and an end to them.
      const isGone = error instanceof RequestError && error.code === "not_found";
      if (isGone && transport === this.#transport) this.#lose(false);
    }
  }

  #clearTimers(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#giveUp);
    this.#giveUp = undefined;
  }

  #lose(gatewayHasIt: boolean): void {
    const transport = this.#transport;
    if (!transport || this.#closed) return;
    this.#clearTimers();
    this.#transport = this.#opening = undefined;
    this.#losses += 1;
    if (gatewayHasIt) {
      this.#link.signalling.request("close", { transportId: transport.id }).catch(() => undefined);
    }
    transport.close();
    this.#handlers.flowing(false);
    this.#handlers.lost();
  }
}
