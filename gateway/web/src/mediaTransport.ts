/**
 * The transport for one direction. It is opened when first needed, and opened again after a loss.
 *
 * A loss takes the transport's producers or consumers with it, but not the session: their owner gets `lost()` and asks
 * for another transport. Everybody else sees those producers go and come, so a transport that worked is worth saving.
 * A short gap heals by itself. After a longer one this restarts ICE, until it connects or `GIVE_UP_AFTER_MS` is over.
 */
import type { Device, types } from "mediasoup-client";

import type { Direction, TransportCreated, TransportState } from "./protocol";
import { RequestError, type Signalling } from "./signalling";

/**
 * How long to wait before restarting ICE, after `disconnected` or after the restart before.
 *
 * Firefox reports `disconnected` as soon as it cannot send. A restart during the gap would only fail.
 */
const RESTART_AFTER_MS = 6_000;
/** Shortest time between two restarts. Without a network interface, Firefox fails each within milliseconds. */
const LEAST_BETWEEN_RESTARTS_MS = 1_000;
/** How long a transport that has worked may stay without a connection before it is replaced. */
const GIVE_UP_AFTER_MS = 30_000;
const FIRST_REOPEN_MS = 500;
const LONGEST_REOPEN_MS = 30_000;

export interface TransportContext {
  /** Resolves once the device has loaded the gateway's capabilities. No transport can be opened before. */
  readonly device: Promise<Device>;
  readonly signalling: Signalling;
  readonly iceServers: RTCIceServer[];
}

export interface MediaTransportHandlers {
  /** The transport is gone, with its producers or consumers. `get()` opens another one. */
  lost(): void;
  /** Whether media gets through, as far as the browser knows. Called when that changes. */
  flowing(flows: boolean): void;
}

export class MediaTransport {
  readonly #direction: Direction;
  readonly #context: TransportContext;
  readonly #handlers: MediaTransportHandlers;
  readonly #configure: (transport: types.Transport, device: Device) => void;
  #opening: Promise<types.Transport> | undefined;
  #transport: types.Transport | undefined;
  #losses = 0;
  #wasConnected = false;
  #restartedAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #giveUp: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** `configure` prepares each new transport before its first use. */
  constructor(
    direction: Direction,
    context: TransportContext,
    handlers: MediaTransportHandlers,
    configure: (transport: types.Transport, device: Device) => void = () => undefined,
  ) {
    this.#direction = direction;
    this.#context = context;
    this.#handlers = handlers;
    this.#configure = configure;
  }

  /** The transport, opened if there is none. Rejects if it cannot be opened. */
  get(): Promise<types.Transport> {
    if (!this.#opening) {
      const opening = this.#open();
      this.#opening = opening;
      // After a failure, the next caller tries again.
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined;
      });
    }
    return this.#opening;
  }

  /** Whether the browser reports the transport as connected. */
  get isConnected(): boolean {
    return this.#transport?.connectionState === "connected";
  }

  /**
   * Resolves once the browser can decrypt media. Never resolves if the transport is lost first.
   *
   * Media must not flow earlier: Firefox drops it, and takes a second to ask again for the key frame it dropped.
   */
  connected(transport: types.Transport): Promise<void> {
    if (transport.connectionState === "connected") return Promise.resolve();
    return new Promise((resolve) => {
      transport.on("connectionstatechange", (state) => state === "connected" && resolve());
    });
  }

  /** The machine has a network again, perhaps a different one. A transport without a connection restarts at once. */
  networkIsBack(): void {
    if (this.#transport && this.#giveUp !== undefined) this.#restartSoon(this.#transport);
  }

  /** The gateway reported a new state of one of this session's transports, perhaps of this one. */
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
    const { signalling } = this.#context;
    const device = await this.#context.device;
    if (this.#losses > 0) await this.#sleep(Math.min(FIRST_REOPEN_MS * 2 ** (this.#losses - 1), LONGEST_REOPEN_MS));
    // Naming the capabilities once, here, saves repeating them in every `consume`.
    const receiving = this.#direction === "receive" ? { rtpCapabilities: device.recvRtpCapabilities } : {};
    const created = await signalling.request("create_transport", { direction: this.#direction, ...receiving });
    if (this.#closed) throw new Error("closed");
    const transport = this.#create(device, created);
    transport.on("connect", ({ dtlsParameters }, done, failed) => {
      signalling.request("connect_transport", { transportId: transport.id, dtlsParameters }).then(() => done(), failed);
    });
    transport.on("connectionstatechange", (state) => this.#connectionState(transport, state));
    this.#configure(transport, device);
    this.#wasConnected = false;
    this.#transport = transport;
    return transport;
  }

  /** Never resolves if this is closed meanwhile, so the opening stops here. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, ms);
    });
  }

  #create(device: Device, created: TransportCreated): types.Transport {
    const { iceServers } = this.#context;
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
      // A transport that never worked is replaced. A restart would only repeat what has failed.
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
    // Set the timer for the next restart first. If this request fails or gets no answer, another restart follows.
    // The state `connected` clears the timer. Without it, the give-up timer ends the series.
    this.#restartedAt = performance.now();
    this.#restartAfter(RESTART_AFTER_MS, transport);
    try {
      const { iceParameters } = await this.#context.signalling.request("restart_ice", { transportId: transport.id });
      if (transport === this.#transport) await transport.restartIce({ iceParameters });
    } catch (error) {
      // No restart can revive a transport that the gateway has forgotten. After other errors the next restart follows.
      const isGone = error instanceof RequestError && error.code === "not_found";
      if (isGone && transport === this.#transport) this.#lose(false);
    }
  }

  #clearTimers(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#giveUp);
    this.#giveUp = undefined;
  }

  /**
   * Drop the transport and report the loss to its owner.
   *
   * If the gateway still has its side, close it there. It allows only one transport in each direction, so it would
   * refuse the next one.
   */
  #lose(gatewayHasIt: boolean): void {
    const transport = this.#transport;
    if (!transport || this.#closed) return;
    this.#clearTimers();
    this.#transport = this.#opening = undefined;
    this.#losses += 1;
    if (gatewayHasIt) {
      this.#context.signalling.request("close", { transportId: transport.id }).catch(() => undefined);
    }
    transport.close();
    this.#handlers.flowing(false);
    this.#handlers.lost();
  }
}
