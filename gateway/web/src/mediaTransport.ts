/**
 * The transport for one direction. It is opened when first needed, and opened again after a loss.
 *
 * A loss takes the transport's producers or consumers with it, but not the session: their owner gets `lost()` and asks
 * for another transport. Everybody else sees those producers go and come, so a transport that worked is worth saving.
 * `PathHealth` says when to restart ICE for it, until it works or `GIVE_UP_AFTER_MS` is over.
 */
import type { Device, types } from "mediasoup-client";

import { LocalIce } from "./localIce";
import { measure, type Measurement } from "./measurement";
import { PathHealth } from "./pathHealth";
import type { Direction, TransportCreated, TransportEntry, TransportState } from "./protocol";
import { RequestError, type Signalling } from "./signalling";

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
  /** Whether a transport that worked is in trouble, or has recovered. Called when that changes. */
  troubled(isTroubled: boolean): void;
}

export class MediaTransport {
  readonly #direction: Direction;
  readonly #context: TransportContext;
  readonly #handlers: MediaTransportHandlers;
  readonly #configure: (transport: types.Transport, device: Device) => void;
  #opening: Promise<types.Transport> | undefined;
  #transport: types.Transport | undefined;
  #localIce: LocalIce | undefined;
  #losses = 0;
  #health = new PathHealth();
  #isTroubled = false;
  #isRestarting = false;
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

  /** The machine has another network, or was asleep. A transport that worked restarts ICE. */
  networkChanged(): void {
    this.#health.networkChanged();
    this.#follow();
  }

  /** Less or more media is to come from now on. */
  expectOther(): void {
    this.#health.expectOther(performance.now());
    this.#follow();
  }

  /** Whether media has been late for a moment, so that the whole network may be gone. */
  get isDoubtful(): boolean {
    return this.#health.isDoubtful;
  }

  /** Look at the browser's statistics. Returns undefined if they say nothing. */
  async look(): Promise<Measurement | undefined> {
    const transport = this.#transport;
    if (!transport) return undefined;
    const report = await transport.getStats().catch(() => undefined);
    if (!report || transport !== this.#transport) return undefined;
    const measurement = measure(report);
    this.#health.measured(measurement, performance.now());
    this.#follow();
    return measurement;
  }

  /** The gateway reported a new state of one of this session's transports, perhaps of this one. */
  stateChanged(transportId: string, state: TransportState): void {
    if (transportId !== this.#transport?.id) return;
    if (state === "failed" || state === "closed") this.#lose(false);
  }

  /** These are the session's transports at the gateway. Give up what it does not have, and close what is unknown here. */
  reconcile(transports: readonly TransportEntry[]): void {
    const theirs = transports.filter(({ direction }) => direction === this.#direction);
    if (!theirs.some(({ transportId }) => transportId === this.#transport?.id)) this.#lose(false);
    for (const { transportId } of theirs) {
      if (transportId !== this.#transport?.id) this.#context.signalling.request("close", { transportId }).catch(() => undefined);
    }
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
    const localIce = (this.#localIce = new LocalIce(transport));
    transport.on("connect", ({ dtlsParameters }, done, failed) => {
      const ours = localIce.newest ? { iceParameters: localIce.newest } : {};
      const asked = { transportId: transport.id, dtlsParameters, ...ours };
      signalling.request("connect_transport", asked).then(() => done(), failed);
    });
    transport.on("connectionstatechange", (state) => this.#connectionState(transport, state));
    this.#configure(transport, device);
    this.#health = new PathHealth();
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
    // A transport that never worked is replaced. A restart would only repeat what has failed.
    if (state === "failed" && !this.#health.wasConnected) return this.#lose(true);
    this.#health.stateChanged(state, performance.now());
    if (state === "connected") {
      this.#losses = 0;
      this.#handlers.flowing(true);
    }
    this.#follow();
  }

  /** Do what the health of the path asks for: set the timers, and report trouble. */
  #follow(): void {
    const transport = this.#transport;
    if (!transport) return;
    const { isTroubled, restartAt } = this.#health;
    clearTimeout(this.#timer);
    if (restartAt < Infinity && !this.#isRestarting) {
      this.#timer = setTimeout(() => void this.#restartIce(transport), Math.max(0, restartAt - performance.now()));
    }
    if (isTroubled) this.#giveUp ??= setTimeout(() => this.#lose(true), GIVE_UP_AFTER_MS);
    else this.#clearGiveUp();
    this.#setTroubled(isTroubled);
  }

  #setTroubled(isTroubled: boolean): void {
    if (isTroubled === this.#isTroubled) return;
    this.#isTroubled = isTroubled;
    this.#handlers.troubled(isTroubled);
  }

  /** One at a time. Without an answer, the request waits until the session has resumed over another WebSocket. */
  async #restartIce(transport: types.Transport): Promise<void> {
    const health = this.#health;
    this.#isRestarting = true;
    try {
      const { iceParameters } = await this.#context.signalling.request("restart_ice", { transportId: transport.id });
      health.restarted(performance.now());
      if (transport === this.#transport) await transport.restartIce({ iceParameters });
      if (transport === this.#transport) this.#tellLocalIce(transport);
    } catch (error) {
      health.restarted(performance.now());
      // No restart can revive a transport that the gateway has forgotten. After other errors the next restart follows.
      const isGone = error instanceof RequestError && error.code === "not_found";
      if (isGone && transport === this.#transport) this.#lose(false);
    } finally {
      this.#isRestarting = false;
      this.#follow();
    }
  }

  /** The browser makes its own new credentials only once it knows those of the gateway. Nothing waits for the answer. */
  #tellLocalIce(transport: types.Transport): void {
    const iceParameters = this.#localIce?.newest;
    if (!iceParameters) return;
    this.#context.signalling
      .request("set_ice_parameters", { transportId: transport.id, iceParameters })
      .catch(() => undefined);
  }

  #clearTimers(): void {
    clearTimeout(this.#timer);
    this.#clearGiveUp();
  }

  #clearGiveUp(): void {
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
    this.#setTroubled(false);
    this.#losses += 1;
    if (gatewayHasIt) {
      this.#context.signalling.request("close", { transportId: transport.id }).catch(() => undefined);
    }
    transport.close();
    this.#handlers.flowing(false);
    this.#handlers.lost();
  }
}
