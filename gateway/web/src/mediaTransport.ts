/**
 * One direction's transport: opened when it is first needed, opened again when it was lost.
 *
 * Losing it costs its producers or consumers, never the session: whoever uses it is told, and asks for it anew.
 */
import type { Device, types } from "mediasoup-client";

import type { Direction, TransportCreated, TransportState } from "./protocol";
import type { Signalling } from "./signalling";

/** How long a browser may report `disconnected` before ICE is restarted; shorter ones heal by themselves. */
const RESTART_AFTER_MS = 2_000;
/** How long the restart may take before the transport is given up. */
const GIVE_UP_AFTER_MS = 8_000;
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
  #timer: ReturnType<typeof setTimeout> | undefined;
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

  /** What the browser measures, nothing while there is no transport. */
  async getStats(): Promise<RTCStatsReport | undefined> {
    return this.#transport?.getStats();
  }

  /** The gateway's word about one of this session's transports. */
  stateChanged(transportId: string, state: TransportState): void {
    if (transportId !== this.#transport?.id) return;
    if (state === "failed" || state === "closed") this.#lose(false);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
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
      clearTimeout(this.#timer);
      this.#losses = 0;
      this.#handlers.flowing(true);
    } else if (state === "disconnected") {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#restartIce(transport), RESTART_AFTER_MS);
    } else if (state === "failed") {
      this.#lose(true);
    }
  }

  async #restartIce(transport: types.Transport): Promise<void> {
    this.#timer = setTimeout(() => this.#lose(true), GIVE_UP_AFTER_MS);
    try {
      const { iceParameters } = await this.#link.signalling.request("restart_ice", { transportId: transport.id });
      if (transport === this.#transport) await transport.restartIce({ iceParameters });
    } catch {
      // The timer is running: an ICE that does not come back is given up.
    }
  }

  #lose(gatewayHasIt: boolean): void {
    const transport = this.#transport;
    if (!transport || this.#closed) return;
    clearTimeout(this.#timer);
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
