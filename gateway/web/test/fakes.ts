/** A gateway without a network, and the parts of a browser that the client's classes use. */
import { Device, FakeHandler, testFakeParameters } from "mediasoup-client";
import { vi } from "vitest";

import type {
  EventMap,
  EventType,
  Participant,
  ParticipantProducer,
  Request,
  RequestMap,
  RequestType,
  Source,
  VoiceState,
} from "../src/protocol";
import type { Socket } from "../src/signalling";

export class FakeSocket implements Socket {
  readyState: Socket["readyState"] = 0;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  readonly sent: Request[] = [];
  closedWith: number | undefined;
  heard: (request: Request) => void = () => undefined;

  constructor(
    readonly url: string,
    readonly subprotocol: string,
  ) {}

  send(text: string): void {
    const request = JSON.parse(text) as Request;
    this.sent.push(request);
    this.heard(request);
  }

  close(code = 1000, reason = ""): void {
    // Browsers throw if the reason does not fit into a close frame.
    if (new TextEncoder().encode(reason).length > 123) throw Object.assign(new Error("reason"), { name: "SyntaxError" });
    this.closedWith = code;
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.call(this as never, {} as Event);
  }

  say(message: unknown): void {
    const data = typeof message === "string" ? message : JSON.stringify(message);
    this.onmessage?.call(this as never, { data } as MessageEvent);
  }

  tell<T extends EventType>(type: T, data: EventMap[T]): void {
    this.say({ type, data });
  }

  /** The gateway closes the connection, or the network breaks it. */
  lose(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.call(this as never, { code, reason } as CloseEvent);
  }

  types(): RequestType[] {
    return this.sent.map((request) => request.type);
  }

  /** The data of every request of one type, in order. A `consume_many` counts as a `consume` for each producer. */
  asked<T extends RequestType>(type: T): RequestMap[T]["data"][] {
    const sent = type === "consume" ? this.sent.flatMap(eachConsume) : this.sent;
    return sent.filter((request) => request.type === type).map((request) => request.data);
  }
}

function eachConsume(request: Request): Request[] {
  if (request.type !== "consume_many") return [request];
  const { producerIds, ...rest } = request.data as RequestMap["consume_many"]["data"];
  return producerIds.map((producerId) => ({ ...request, type: "consume", data: { ...rest, producerId } }) as Request);
}

type Answers = { [T in RequestType]?: (data: RequestMap[T]["data"]) => RequestMap[T]["ok"] | FakeError | Silence };

/** Answers that a test can give in place of `ok`. */
export class FakeError {
  constructor(readonly code: string) {}
}
export class Silence {}

/** Answers every request one task later, as over a network. Every id that it gives is new. */
export class FakeGateway {
  readonly sockets: FakeSocket[] = [];
  readonly answers: Answers = {};
  /** What everybody may do here. */
  grants: string[] = ["publish", "subscribe", "message"];
  participants: Participant[] = [];
  /** The producers that `consume_many` refuses. */
  readonly refused = new Set<string>();
  revision = 1;
  isAway = false;
  /** The layers of the videos that it sends. */
  scalabilityMode: string | undefined;
  /** The highest id of a request in a session. */
  lastRequest = 0;
  #ids = 0;
  /** Nothing from a socket counts any more once another one has resumed its session. */
  readonly #detached = new Set<FakeSocket>();

  readonly open = (url: string, subprotocol: string): Socket => {
    const socket = new FakeSocket(url, subprotocol);
    this.sockets.push(socket);
    socket.heard = (request) => void setTimeout(() => this.#answer(socket, request), 0);
    setTimeout(() => (this.isAway ? socket.lose(1006) : socket.open()), 0);
    return socket;
  };

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nobody connected");
    return socket;
  }

  /** Send a change of the list with the next revision. */
  tell(type: VoiceState["type"], who: Participant, after: Participant[], more: Partial<VoiceState> = {}): void {
    this.participants = after;
    this.revision += 1;
    const { userId, username } = who;
    const reason = type === "user_left" ? { reason: "left" as const } : {};
    const list = { count: after.length, participants: after };
    const { revision } = this;
    this.socket.tell("voice_state", {
      ...{ type, channelId: "lobby", userId, username, participant: who, epoch: 1, revision, ...list, ...reason, ...more },
    });
  }

  #answer(socket: FakeSocket, { id, type, data }: Request): void {
    if (this.#detached.has(socket)) return;
    if (type === "resume_session") for (const each of this.sockets) if (each !== socket) this.#detached.add(each);
    this.lastRequest = Math.max(this.lastRequest, id);
    const own = this.answers[type] as ((data: unknown) => unknown) | undefined;
    const answer = own ? own(data) : this.#ok(type, data);
    if (answer instanceof Silence) return;
    if (answer instanceof FakeError) socket.say({ id, type: "error", data: { code: answer.code, message: "no" } });
    else socket.say({ id, type: "ok", data: answer });
  }

  #ok(type: RequestType, data: unknown): unknown {
    if (type === "join") return this.#joined(data as RequestMap["join"]["data"]);
    if (type === "resume_session") return { lost: false, lastRequest: this.lastRequest, lastEvent: 0, epoch: 1 };
    if (type === "create_transport") return transport(`transport-${++this.#ids}`);
    if (type === "produce") return { producerId: `own-${++this.#ids}` };
    if (type === "renew_token") return { grants: this.grants };
    if (type === "restart_ice") return { iceParameters: transport("").iceParameters };
    if (type === "consume") return this.#consumed((data as RequestMap["consume"]["data"]).producerId);
    if (type === "consume_many") return this.#consumedMany((data as RequestMap["consume_many"]["data"]).producerIds);
    return {};
  }

  #joined({ userId = "me", username, channelId }: RequestMap["join"]["data"]): RequestMap["join"]["ok"] {
    const { revision } = this;
    return {
      ...{ sessionId: "session", userId, channelId, revision, iceServers: [], pingIntervalMs: 5_000, epoch: 1 },
      sessionSecret: "a-secret-of-22-characters",
      grants: this.grants,
      participants: [...this.participants, participant(userId, [], username)],
      routerRtpCapabilities: testFakeParameters.generateRouterRtpCapabilities(),
    };
  }

  #consumedMany(producerIds: readonly string[]): RequestMap["consume_many"]["ok"] {
    const present = this.participants.flatMap(({ producers }) => producers.map(({ producerId }) => producerId));
    const isRefused = (producerId: string) => !present.includes(producerId) || this.refused.has(producerId);
    const code = "not_found" as const;
    return {
      refused: producerIds.filter(isRefused).map((producerId) => ({ producerId, code, message: "no" })),
      consumers: producerIds.filter((each) => !isRefused(each)).map((producerId) => this.#consumed(producerId)),
    };
  }

  #consumed(producerId: string): RequestMap["consume"]["ok"] {
    const owner = this.participants.find(({ producers }) => producers.some((each) => each.producerId === producerId));
    const producer = owner?.producers.find((each) => each.producerId === producerId);
    if (!owner || !producer) throw new Error(`nobody produces ${producerId}`);
    const { kind, source, paused } = producer;
    const codecMimeType = kind === "audio" ? "audio/opus" : "video/VP8";
    const made = testFakeParameters.generateConsumerRemoteParameters({ codecMimeType }).rtpParameters;
    const layered = kind === "video" && this.scalabilityMode ? { scalabilityMode: this.scalabilityMode } : {};
    const rtpParameters = { ...made, encodings: (made.encodings ?? []).map((each) => ({ ...each, ...layered })) };
    const consumerId = `consumer-of-${producerId}-${++this.#ids}`;
    return { consumerId, producerId, userId: owner.userId, kind, source, producerPaused: paused, rtpParameters };
  }
}

function transport(transportId: string): RequestMap["create_transport"]["ok"] {
  const { iceParameters, iceCandidates, dtlsParameters } = testFakeParameters.generateTransportRemoteParameters();
  return { transportId, iceParameters, iceCandidates, dtlsParameters };
}

/** A device whose transports connect once the gateway has answered `connect_transport`, or never. */
export function createDevice(connects = true): Promise<Device> {
  const fake = FakeHandler.createFactory(testFakeParameters);
  const factory: typeof fake.factory = (options) => {
    const handler = fake.factory(options) as FakeHandler;
    const inside = handler as unknown as { setupTransport(roles: object): Promise<void> };
    const setUp = inside.setupTransport.bind(handler);
    inside.setupTransport = async (roles) => {
      await setUp(roles);
      if (connects) handler.setConnectionState("connected");
    };
    return handler;
  };
  return Device.factory({ handlerFactory: { ...fake, factory } });
}

export function participant(userId: string, sources: Source[] = [], username = userId): Participant {
  const producers = sources.map((source): ParticipantProducer => {
    const kind = source === "microphone" || source === "screen_audio" ? "audio" : "video";
    return { producerId: `${userId}-${source}`, kind, source, paused: false };
  });
  return { userId, username, joinedAt: "2026-11-01T09:30:00Z", metadata: {}, producers };
}

/** Let everything run that waits for no more than a few milliseconds. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await vi.advanceTimersByTimeAsync(1);
}

export function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
}
