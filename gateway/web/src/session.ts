/** One stay in a channel over one connection, from the answer to `join` until either ends. */
import type { Device } from "mediasoup-client";

import { Inbound, type RemoteMedia } from "./inbound";
import { Outbound } from "./outbound";
import type { GatewayEvent, Join, Joined, Participant, Source } from "./protocol";
import { Roster, type Change } from "./roster";
import type { Signalling } from "./signalling";

/** A consistent picture of the channel at one moment. Everybody whose media is in it is also in the list. */
export interface Presence {
  readonly self: string;
  readonly participants: readonly Participant[];
  readonly media: readonly RemoteMedia[];
  readonly speakers: readonly string[];
  /** False while a needed transport does not get media through. */
  readonly flowing: boolean;
}

export interface SessionHandlers {
  changed(presence: Presence): void;
  joined(participant: Participant): void;
  left(participant: Participant): void;
  /** The gateway or the browser rejected a track to be sent. */
  notSent(source: Source, error: unknown): void;
  /** The browser cannot use this gateway's capabilities. */
  unusable(error: unknown): void;
}

export class Session {
  readonly #signalling: Signalling;
  readonly #handlers: SessionHandlers;
  readonly #self: string;
  readonly #roster: Roster;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #blocked = new Set<"inbound" | "outbound">();
  #speakers: readonly string[] = [];
  #isApplying = false;
  #closed = false;

  private constructor(signalling: Signalling, device: Promise<Device>, ok: Joined, handlers: SessionHandlers) {
    this.#signalling = signalling;
    this.#handlers = handlers;
    this.#self = ok.userId;
    this.#roster = new Roster(ok.participants, ok.revision);
    const context = { device, signalling, iceServers: ok.iceServers };
    this.#inbound = new Inbound(context, {
      changed: () => this.#changed(),
      flowing: (flows) => this.#flowing("inbound", flows),
    });
    this.#outbound = new Outbound(context, {
      failed: handlers.notSent,
      flowing: (flows) => this.#flowing("outbound", flows),
    });
  }

  /**
   * Join a channel over an open connection. The caller passes the connection's events to `handle`.
   *
   * Rejects with `RequestError` if the gateway refuses, and with `ConnectionEnded` if the connection ends first.
   */
  static async join(signalling: Signalling, device: Device, data: Join, handlers: SessionHandlers): Promise<Session> {
    const ok = await signalling.request("join", data);
    // Events may arrive while the device loads. So keep the list from now on. Only the transports wait for the device.
    const loading = device.load({ routerRtpCapabilities: ok.routerRtpCapabilities }).then(() => device);
    const session = new Session(signalling, loading, ok, handlers);
    loading.catch(handlers.unusable);
    const transports = [session.#inbound.transport, session.#outbound.transport];
    signalling.keepAlive(ok.pingIntervalMs, () => transports.some(({ isConnected }) => isConnected));
    session.#follow();
    return session;
  }

  get self(): string {
    return this.#self;
  }

  get inbound(): Inbound {
    return this.#inbound;
  }

  get outbound(): Outbound {
    return this.#outbound;
  }

  get presence(): Presence {
    return {
      self: this.#self,
      participants: this.#roster.participants,
      media: this.#inbound.media,
      speakers: this.#speakers,
      flowing: this.#blocked.size === 0,
    };
  }

  handle(event: GatewayEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case "voice_state":
        return this.#listChanged(this.#roster.apply(event.data));
      case "consumer_closed":
        return this.#inbound.consumerClosed(event.data.consumerId, event.data.reason);
      case "transport_state":
        this.#inbound.transport.stateChanged(event.data.transportId, event.data.state);
        return this.#outbound.transport.stateChanged(event.data.transportId, event.data.state);
      case "active_speakers":
        this.#speakers = event.data.userIds;
        return this.#changed();
    }
  }

  networkIsBack(): void {
    this.#inbound.transport.networkIsBack();
    this.#outbound.transport.networkIsBack();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#inbound.close();
    this.#outbound.close();
  }

  #listChanged(change: Change): void {
    if (change.kind === "stale") return;
    // An event is missing, so the list may be wrong. Joining again brings a new snapshot.
    if (change.kind === "gap") return this.#signalling.drop("the participant list has a gap");
    this.#follow();
    change.left.forEach(this.#handlers.left);
    change.joined.forEach(this.#handlers.joined);
  }

  /** Drop the media first, then show the list. Nobody may vanish from the page while they can still be heard. */
  #follow(): void {
    this.#isApplying = true;
    this.#inbound.want(this.#roster.participants.filter(({ userId }) => userId !== this.#self));
    this.#isApplying = false;
    this.#changed();
  }

  #flowing(direction: "inbound" | "outbound", flows: boolean): void {
    if (flows !== this.#blocked.has(direction)) return;
    if (flows) this.#blocked.delete(direction);
    else this.#blocked.add(direction);
    this.#changed();
  }

  #changed(): void {
    if (!this.#isApplying && !this.#closed) this.#handlers.changed(this.presence);
  }
}
