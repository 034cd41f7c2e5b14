/** One stay in a channel, from the answer to `join` until it ends. It may outlive several WebSockets. */
import type { Device } from "mediasoup-client";

import { Inbound, type RemoteMedia } from "./inbound";
import type { MediaTransport } from "./mediaTransport";
import { Outbound } from "./outbound";
import type { ChannelState, ConnectionQuality, GatewayEvent, Join, Joined, Participant, SessionResumed, Source } from "./protocol";
import { Roster, type Change } from "./roster";
import type { Signalling } from "./signalling";
import { StalledMembers } from "./stalledMembers";
import { Views } from "./views";
import { Watch } from "./watch";

/** A shorter trouble is not shown. */
const SHOW_TROUBLE_AFTER_MS = 600;

/** A consistent picture of the channel at one moment. Everybody whose media is in it is also in the list. */
export interface Presence {
  readonly self: string;
  readonly participants: readonly Participant[];
  readonly media: readonly RemoteMedia[];
  readonly speakers: readonly string[];
  /** False while a needed transport does not get media through. */
  readonly flowing: boolean;
  /** True while the page looks for another way to the gateway. */
  readonly reconnecting: boolean;
  /** The user ids of the members whose media does not arrive at the gateway, although it should. */
  readonly stalled: readonly string[];
  /** How good each member's connection is, by user id, as far as the gateway says. */
  readonly qualities: ReadonlyMap<string, ConnectionQuality>;
  /** What moderators decided about the channel. */
  readonly channel: ChannelState;
  /** Whether this person is a moderator. */
  readonly moderates: boolean;
}

/** A channel about which no moderator has decided anything. */
export const OPEN_CHANNEL: ChannelState = { locked: false };

type Trouble = "inbound" | "outbound" | "signalling";

export interface SessionHandlers {
  changed(presence: Presence): void;
  joined(participant: Participant): void;
  left(participant: Participant): void;
  /** The gateway or the browser rejected a track to be sent. */
  notSent(source: Source, error: unknown): void;
  /** The browser cannot use this gateway's capabilities. */
  unusable(error: unknown): void;
  /** A moderator has moved this person to another channel. */
  moved(channelId: string): void;
}

export class Session {
  readonly #signalling: Signalling;
  readonly #handlers: SessionHandlers;
  readonly #self: string;
  readonly #channelId: string;
  readonly #roster: Roster;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #blocked = new Set<"inbound" | "outbound">();
  readonly #troubles = new Set<Trouble>();
  readonly #stalled = new StalledMembers();
  readonly #watch: Watch;
  #troubleTimer: ReturnType<typeof setTimeout> | undefined;
  #isReconnecting = false;
  #speakers: readonly string[] = [];
  #qualities: ReadonlyMap<string, ConnectionQuality> = new Map();
  #channel: ChannelState = OPEN_CHANNEL;
  #moderates: boolean;
  #isApplying = false;
  #closed = false;

  private constructor(signalling: Signalling, device: Promise<Device>, ok: Joined, handlers: SessionHandlers, views: Views) {
    this.#signalling = signalling;
    this.#handlers = handlers;
    this.#self = ok.userId;
    this.#channelId = ok.channelId;
    this.#moderates = ok.grants.includes("moderate");
    this.#roster = new Roster(ok.participants, ok.revision);
    const context = { device, signalling, iceServers: ok.iceServers };
    const receiving = {
      changed: () => this.#changed(),
      flowing: (flows: boolean) => this.#flowing("inbound", flows),
      troubled: (isTroubled: boolean) => this.#troubled("inbound", isTroubled),
    };
    this.#inbound = new Inbound(context, receiving, views);
    this.#outbound = new Outbound(context, {
      failed: handlers.notSent,
      flowing: (flows) => this.#flowing("outbound", flows),
      troubled: (isTroubled) => this.#troubled("outbound", isTroubled),
    });
    this.#watch = new Watch(() => this.#look());
  }

  /**
   * Join a channel over an open connection. The caller passes the connection's events to `handle`. `views` are the
   * tiles of the page. Without any, everything is received as it is sent.
   *
   * Rejects with `RequestError` if the gateway refuses, and with `ConnectionEnded` if the connection ends first.
   */
  static async join(
    signalling: Signalling,
    device: Device,
    data: Join,
    handlers: SessionHandlers,
    views = new Views(),
  ): Promise<Session> {
    const ok = await signalling.request("join", data);
    signalling.startSession(ok);
    // Events may arrive while the device loads. So keep the list from now on. Only the transports wait for the device.
    const loading = device.load({ routerRtpCapabilities: ok.routerRtpCapabilities }).then(() => device);
    const session = new Session(signalling, loading, ok, handlers, views);
    loading.catch(handlers.unusable);
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

  get #transports(): readonly MediaTransport[] {
    return [this.#inbound.transport, this.#outbound.transport];
  }

  get presence(): Presence {
    return {
      self: this.#self,
      participants: this.#roster.participants,
      media: this.#inbound.media,
      speakers: this.#speakers,
      flowing: this.#blocked.size === 0,
      reconnecting: this.#isReconnecting,
      stalled: this.#stalled.userIds,
      qualities: this.#qualities,
      channel: this.#channel,
      moderates: this.#moderates,
    };
  }

  handle(event: GatewayEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case "voice_state":
        return this.#listChanged(this.#roster.apply(event.data));
      case "consumer_closed":
        return this.#inbound.consumerClosed(event.data.consumerId, event.data.reason);
      case "consumer_updated":
        return this.#inbound.consumerUpdated(event.data.consumerId, event.data.starved);
      case "connection_quality":
        this.#qualities = new Map(this.#qualities).set(event.data.userId, event.data.quality);
        return this.#changed();
      case "channel_state":
        this.#channel = event.data;
        return this.#changed();
      case "producer_layers":
        return this.#outbound.switchEncodings(event.data.producerId, event.data.active);
      case "transport_state":
        for (const each of this.#transports) each.stateChanged(event.data.transportId, event.data.state);
        return;
      case "channel_changed":
        return this.#handlers.moved(event.data.channelId);
      case "active_speakers":
        this.#speakers = event.data.userIds;
        return this.#changed();
    }
  }

  /** The machine has another network, or was asleep. Use new paths for everything at once. */
  networkChanged(): void {
    if (this.#closed) return;
    this.#signalling.networkChanged();
    for (const transport of this.#transports) transport.networkChanged();
  }

  /** Something may be wrong with the network. */
  doubt(): void {
    if (!this.#closed) this.#signalling.doubt();
  }

  /** Go on with the grants of a newer token. Rejects if the gateway does not accept it; the older one counts then. */
  async renewToken(token: string): Promise<void> {
    const { grants } = await this.#signalling.request("renew_token", { token });
    this.#moderates = grants.includes("moderate");
    this.#changed();
  }

  /** Attempts to resume over another WebSocket began or ended. */
  resuming(isResuming: boolean): void {
    this.#troubled("signalling", isResuming);
  }

  /** The session goes on over another WebSocket. If the gateway had to drop something, follow its state. */
  resumed(state: SessionResumed): void {
    if (this.#closed || !state.lost) return;
    const { participants = [], revision = 0, transports = [], producers = [], consumers = [], channelId } = state;
    // A moderator has moved the person meanwhile, and the event for that is among the lost ones.
    if (channelId !== undefined && channelId !== this.#channelId) return this.#handlers.moved(channelId);
    for (const transport of this.#transports) transport.reconcile(transports);
    this.#inbound.reconcile(consumers);
    this.#outbound.reconcile(producers);
    // The gateway says these anew, but not that nobody speaks, a connection is excellent, or the channel is open.
    this.#channel = OPEN_CHANNEL;
    this.#speakers = [];
    this.#qualities = new Map();
    this.#listChanged(this.#roster.replace(participants, revision));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.stop();
    clearTimeout(this.#troubleTimer);
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
    const present = new Set(this.#roster.participants.map(({ userId }) => userId));
    this.#qualities = new Map([...this.#qualities].filter(([userId]) => present.has(userId)));
    const own = this.#roster.participants.find(({ userId }) => userId === this.#self);
    this.#inbound.want(this.#roster.participants.filter((each) => each !== own), own?.deafened);
    this.#isApplying = false;
    this.#changed();
  }

  /** Look at the statistics. They show trouble earlier than the browser's states do. */
  async #look(): Promise<void> {
    const [received] = await Promise.all([this.#inbound.transport.look(), this.#outbound.transport.look()]);
    if (this.#closed) return;
    if (received) this.#inbound.awaitRepairs(received);
    if (this.#transports.some(({ isDoubtful }) => isDoubtful)) this.#signalling.doubt(() => this.#restartDoubtful());
    if (this.#troubles.has("inbound") && !this.#isReconnecting) return;
    const isBlind = this.#isReconnecting || !received;
    const streams = isBlind ? [] : this.#inbound.streams(received.packets);
    const isChanged = isBlind ? this.#stalled.forget() : this.#stalled.update(streams, performance.now());
    if (isChanged) this.#changed();
  }

  /** Neither media nor signalling gets through, so it is the network. Do not wait longer for media. */
  #restartDoubtful(): void {
    if (!this.#transports.some(({ isDoubtful }) => isDoubtful)) return;
    for (const transport of this.#transports) transport.networkChanged();
  }

  #troubled(what: Trouble, isTroubled: boolean): void {
    if (isTroubled) this.#troubles.add(what);
    else this.#troubles.delete(what);
    if (this.#closed) return;
    if (this.#troubles.size > 0) {
      this.#troubleTimer ??= setTimeout(() => this.#showReconnecting(true), SHOW_TROUBLE_AFTER_MS);
    } else {
      clearTimeout(this.#troubleTimer);
      this.#troubleTimer = undefined;
      this.#showReconnecting(false);
    }
  }

  #showReconnecting(isReconnecting: boolean): void {
    if (isReconnecting === this.#isReconnecting) return;
    this.#isReconnecting = isReconnecting;
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
