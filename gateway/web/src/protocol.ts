// Made by `python -m protocol.schema` from the classes in protocol/; a test fails when this file is stale.
import type { types } from 'mediasoup-client';

export type RtcpFeedback = types.RtcpFeedback;
export type RtpCodecCapability = types.RtpCodecCapability;
export type RtpHeaderExtension = types.RtpHeaderExtension;
export type RtpCapabilities = types.RtpCapabilities;
export type RtpCodecParameters = types.RtpCodecParameters;
export type RtpHeaderExtensionParameters = types.RtpHeaderExtensionParameters;
export type RtpEncodingParameters = types.RtpEncodingParameters;
export type RtcpParameters = types.RtcpParameters;
export type RtpParameters = types.RtpParameters;
export type IceParameters = types.IceParameters;
export type IceCandidate = types.IceCandidate;
export type DtlsFingerprint = types.DtlsFingerprint;
export type DtlsParameters = types.DtlsParameters;
export type MediaKind = types.MediaKind;

export type Source = 'microphone' | 'camera' | 'screen' | 'screen_audio' | 'other';
export type Direction = 'send' | 'receive';
export type VoiceStateType = 'user_joined' | 'user_left' | 'user_updated';
export type LeaveReason = 'left' | 'disconnected' | 'timed_out' | 'replaced' | 'removed' | 'ended' | 'moved' | 'failed' | 'draining' | 'node_lost';
export type ConsumerClosedReason = 'producer_closed' | 'user_left' | 'failed';
export type TransportState = 'connected' | 'disconnected' | 'failed' | 'closed';
export type ConnectionQuality = 'excellent' | 'good' | 'poor' | 'lost';
export type TransportStatsState = 'new' | 'connecting' | 'connected' | 'disconnected';

export const ERROR_CODES = [
  'malformed',
  'invalid',
  'unknown_type',
  'not_joined',
  'already_joined',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'unsupported',
  'limit_exceeded',
  'locked',
  'rate_limited',
  'media_failed',
  'timeout',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

export const NEXT_STEPS = [
  'stop',
  'join_again_at_once',
  'join_again',
  'join_again_later',
] as const;
export type NextStep = (typeof NEXT_STEPS)[number];

/** What a client does after a close. */
export const CLOSE_CODES = {
  1000: { name: 'normal', next: 'stop', meaning: 'the client left' },
  1001: { name: 'going_away', next: 'join_again_later', meaning: 'the gateway is going away; another one may take the client' },
  1002: { name: 'protocol_error', next: 'stop', meaning: 'a violation of RFC 6455: a bug' },
  1003: { name: 'unsupported_data', next: 'stop', meaning: 'a frame that is not text: a bug' },
  1006: { name: 'abnormal', next: 'join_again', meaning: 'the connection broke; no frame carries this code' },
  1007: { name: 'invalid_text', next: 'stop', meaning: 'a text frame that is not UTF-8: a bug' },
  1009: { name: 'too_big', next: 'stop', meaning: 'a message over the size limit: a bug' },
  1012: { name: 'service_restart', next: 'join_again_at_once', meaning: 'the gateway restarts; its successor takes the client' },
  4400: { name: 'too_many_errors', next: 'stop', meaning: 'too many bad messages' },
  4401: { name: 'unauthenticated', next: 'stop', meaning: 'not authenticated' },
  4403: { name: 'forbidden', next: 'stop', meaning: 'not allowed, or removed by a moderator' },
  4408: { name: 'join_timeout', next: 'join_again', meaning: 'connected, but no join in time' },
  4409: { name: 'replaced', next: 'stop', meaning: 'a newer connection of the same user took its place' },
  4410: { name: 'ended', next: 'stop', meaning: 'a moderator ended the channel' },
  4413: { name: 'too_slow', next: 'join_again', meaning: 'the client reads too slowly' },
  4429: { name: 'rate_limited', next: 'join_again_later', meaning: 'too many requests in a short time, or no room for newcomers' },
  4500: { name: 'internal', next: 'join_again', meaning: 'an internal error of the gateway' },
} as const;
export type CloseCode = keyof typeof CLOSE_CODES;

/** What a client does after a close with any code; an intermediary may send unknown codes. */
export function nextStep(code: number): NextStep {
  return code in CLOSE_CODES ? CLOSE_CODES[code as CloseCode].next : 'join_again_later';
}

/** A version of the list of one channel. Positions are ordered by `epoch` and then by `revision`. */
export type Position = {
  epoch: number;
  revision: number;
};

/** A spatial and a temporal layer. 0 is the lowest. */
export type Layers = {
  spatial: number;
  temporal: number;
};

/** One stream that a participant sends, as an entry of the participant list shows it. */
export type ParticipantProducer = {
  producerId: string;
  kind: MediaKind;
  source: Source;
  paused: boolean;
};

/** A member of a channel. `joinedAt` is ISO 8601 in UTC, with a `Z`. */
export type Participant = {
  userId: string;
  username: string;
  joinedAt: string;
  metadata: Record<string, unknown>;
  producers: ParticipantProducer[];
  mutedSources?: Source[];
  deafened?: boolean;
};

/** Enter a channel. The `username` is trimmed. The gateway makes a missing `userId` or `sessionSecret`. */
export type Join = {
  channelId: string;
  username: string;
  userId?: string;
  token?: string;
  metadata?: Record<string, unknown>;
  sessionSecret?: string;
};

/** Go to another channel in one step. A moderator may move somebody else: `userId`. */
export type Move = {
  channelId: string;
  userId?: string;
};

/** Go on with a session over a new WebSocket. */
export type ResumeSession = {
  sessionId: string;
  sessionSecret: string;
  lastEvent?: number;
  lastAnswer?: number;
};

/** Change the client's own name or metadata in the list. What is left out stays as it is. */
export type Update = {
  username?: string;
  metadata?: Record<string, unknown>;
};

/** Leave the channel. The connection stays and may join again. */
export type Leave = Record<string, never>;

/** Create a transport in one direction, seen from the client. A session has at most one in each direction. */
export type CreateTransport = {
  direction: Direction;
  rtpCapabilities?: RtpCapabilities;
};

/** Set the client's DTLS parameters. The answer precedes the handshake. */
export type ConnectTransport = {
  transportId: string;
  dtlsParameters: DtlsParameters;
  iceParameters?: IceCredentials;
};

/** Change a transport's ICE credentials (RFC 8445 section 2.4). */
export type RestartIce = {
  transportId: string;
  iceParameters?: IceCredentials;
};

/** Set the client's own ICE credentials, which it made after the answer to `restart_ice`. */
export type SetIceParameters = {
  transportId: string;
  iceParameters: IceCredentials;
};

/** Start to send a stream over the sending transport. */
export type Produce = {
  transportId: string;
  kind: MediaKind;
  rtpParameters: RtpParameters;
  source: Source;
  paused?: boolean;
};

/** Start to receive another member's stream over the receiving transport. */
export type Consume = {
  transportId: string;
  producerId: string;
  rtpCapabilities?: RtpCapabilities;
  paused?: boolean;
};

/** Start to receive several streams over the receiving transport, as with `consume` for each of them. */
export type ConsumeMany = {
  transportId: string;
  producerIds: string[];
  rtpCapabilities?: RtpCapabilities;
  paused?: boolean;
};

/** Pause the client's own producer or consumer. */
export type Pause =
  | { producerId: string; consumerId?: never }
  | { producerId?: never; consumerId: string };

/** Resume the client's own producer or consumer. */
export type Resume =
  | { producerId: string; consumerId?: never }
  | { producerId?: never; consumerId: string };

/** Close the client's own producer or consumer, or its transport with every stream on it. */
export type Close =
  | { producerId: string; consumerId?: never; transportId?: never }
  | { producerId?: never; consumerId: string; transportId?: never }
  | { producerId?: never; consumerId?: never; transportId: string };

/** Limit the layers of a consumer. 0 is the lowest layer. */
export type SetLayers = {
  consumerId: string;
  spatial: number;
  temporal: number;
};

/** Let a consumer get bandwidth before those of a lower priority. Each begins with priority 1. */
export type SetPriority = {
  consumerId: string;
  priority: number;
};

/** Send any JSON to all other members of the channel, or to the user ids in `to`. */
export type SendMessage = {
  data: unknown;
  to?: string[];
};

/** Ask whether the gateway is alive. This is for clients that cannot see WebSocket pings. */
export type Ping = {
  lastEvent?: number;
  lastAnswer?: number;
};

/** Ask for the gateway's measurements of this session's media. */
export type GetStats = Record<string, never>;

/** End the session of a member. With `seconds`, also keep the user out of the channel for this time. */
export type RemoveParticipant = {
  userId: string;
  seconds?: number;
};

/** Let a user in again before the end of its removal. */
export type ReadmitParticipant = {
  userId: string;
};

/** Pause a member's producers of one source, so that the member cannot resume them. */
export type Mute = {
  userId: string;
  source: Source;
};

/** Let a user resume its producers of one source. They stay paused until it does. */
export type Unmute = {
  userId: string;
  source: Source;
};

/** Stop all media to a member. The member cannot change this. */
export type Deafen = {
  userId: string;
};

/** Let a user receive media again. Consumers that the user has paused stay paused. */
export type Undeafen = {
  userId: string;
};

/** Let no newcomer in. The lock ends with the channel, or `seconds` after that. */
export type LockChannel = {
  seconds?: number;
};

/** Let newcomers in again. */
export type UnlockChannel = Record<string, never>;

/** Let at most `maxMembers` in. None ends the limit. It ends with the channel, or `seconds` after that. */
export type LimitMembers = {
  maxMembers?: number;
  seconds?: number;
};

/** End the session of every member, also one's own. */
export type EndChannel = Record<string, never>;

/** Go on with the grants of a newer token of the same user for the same channel. */
export type RenewToken = {
  token: string;
};

/** Follow the lists of channels without joining them. */
export type Watch =
  | { channelIds: string[]; prefix?: never; after?: Record<string, Position>; token?: string }
  | { channelIds?: never; prefix: string; after?: Record<string, Position>; token?: string };

/** Stop following channels, or a prefix, that an earlier `watch` named. */
export type Unwatch =
  | { channelIds: string[]; prefix?: never }
  | { channelIds?: never; prefix: string };

/** A client's own ICE credentials (RFC 8445 section 5.3). */
export type IceCredentials = {
  usernameFragment: string;
  password: string;
};

/** A transport of a session, as of the answer that has it. */
export type TransportEntry = {
  transportId: string;
  direction: Direction;
  state: TransportStatsState;
};

/** A consumer of a session, as of the answer that has it. */
export type ConsumerEntry = {
  consumerId: string;
  producerId: string;
  userId: string;
  kind: MediaKind;
  source: Source;
  paused: boolean;
  producerPaused: boolean;
  starved: boolean;
};

/** A producer of `consume_many` that the client cannot consume. The fields are those of an error. */
export type NotConsumed = {
  producerId: string;
  code: ErrorCode;
  message: string;
};

/** A transport: `new` before the client connects it, `connecting` until media can flow. */
export type TransportStats = {
  transportId: string;
  direction: Direction;
  state: TransportStatsState;
  availableBitrate?: number;
  probeBytes?: number;
};

/** The packets of one encoding that arrived. Duplicates may make `lost` negative (RFC 3550 appendix A.3). */
export type EncodingStats = {
  packets: number;
  bytes: number;
  lost: number;
  jitterMs: number;
  keyFrames: number;
  ssrc?: number;
  rid?: string;
  requested?: number;
  repaired?: number;
  givenUp?: number;
  roundTripMs?: number;
};

/** A producer of this session, with its encodings in rising quality. */
export type ProducerStats = {
  producerId: string;
  kind: MediaKind;
  source: Source;
  paused: boolean;
  encodings: EncodingStats[];
};

/** A consumer of this session. The client's receiver reports give loss and round trip (RFC 3550 section 6.4.1). */
export type ConsumerStats = {
  consumerId: string;
  producerId: string;
  kind: MediaKind;
  paused: boolean;
  packets: number;
  bytes: number;
  layers?: Layers;
  fractionLost?: number;
  roundTripMs?: number;
  requested?: number;
  resent?: number;
  notResent?: number;
  redundant?: number;
};

/** What a watcher needs to know about one channel: its list as of `epoch` and `revision`, or `events`. */
export type WatchedChannel = {
  channelId: string;
  epoch?: number;
  revision?: number;
  participants?: Participant[];
  snapshot?: boolean;
  events?: VoiceState[];
};

/** `ok` of `join`: the client's ids, and the list of the channel with itself in it, as of `revision`. */
export type Joined = {
  sessionId: string;
  userId: string;
  channelId: string;
  participants: Participant[];
  revision: number;
  routerRtpCapabilities: RtpCapabilities;
  iceServers: RTCIceServer[];
  pingIntervalMs: number;
  sessionSecret: string;
  epoch: number;
  grants: string[];
};

/** `ok` of `move`. `mediaKept` tells whether transports and producers live on. Consumers never do. */
export type Moved = {
  sessionId: string;
  userId: string;
  channelId: string;
  participants: Participant[];
  revision: number;
  routerRtpCapabilities: RtpCapabilities;
  iceServers: RTCIceServer[];
  pingIntervalMs: number;
  sessionSecret: string;
  epoch: number;
  grants: string[];
  mediaKept: boolean;
};

/** `ok` of `resume_session`. */
export type SessionResumed = {
  lost: boolean;
  lastRequest: number;
  lastEvent: number;
  epoch: number;
  participants?: Participant[];
  revision?: number;
  transports?: TransportEntry[];
  producers?: ParticipantProducer[];
  consumers?: ConsumerEntry[];
  channelId?: string;
};

/** `ok` without content. */
export type Done = Record<string, never>;

/** `ok` of `create_transport`: everything that the client needs to connect, since there is no trickle ICE. */
export type TransportCreated = {
  transportId: string;
  iceParameters: IceParameters;
  iceCandidates: IceCandidate[];
  dtlsParameters: DtlsParameters;
};

/** `ok` of `restart_ice`: the new credentials. */
export type IceRestarted = {
  iceParameters: IceParameters;
};

/** `ok` of `produce`: the id of the new producer. */
export type Produced = {
  producerId: string;
};

/** `ok` of `consume`: the owner of the stream, and the parameters for receiving it. */
export type Consumed = {
  consumerId: string;
  producerId: string;
  userId: string;
  kind: MediaKind;
  source: Source;
  rtpParameters: RtpParameters;
  producerPaused: boolean;
};

/** `ok` of `consume_many`: each named producer is in one of the lists, in the order of the request. */
export type ConsumedMany = {
  refused: NotConsumed[];
  consumers: Consumed[];
};

/** `ok` of `message`: the number of members that get it. */
export type Delivered = {
  delivered: number;
};

/** `ok` of `stats`. */
export type Stats = {
  transports: TransportStats[];
  producers: ProducerStats[];
  consumers: ConsumerStats[];
};

/** `ok` of `renew_token`: the grants of the new token. */
export type TokenRenewed = {
  grants: string[];
};

/** `ok` of `watch`: one entry for each named channel, or for each open channel with the prefix. */
export type Watched = {
  channels: WatchedChannel[];
};

/** Why a request failed. */
export type ErrorData = {
  code: ErrorCode;
  message: string;
  path?: string;
  reference?: string;
  retryAfterMs?: number;
};

/** A change of a channel's list. */
export type VoiceState = {
  type: VoiceStateType;
  channelId: string;
  userId: string;
  username: string;
  epoch: number;
  revision: number;
  participant: Participant;
  count: number;
  participants?: Participant[];
  reason?: LeaveReason;
  to?: string;
};

/** A consumer of this session closed, although the session did not ask for it. */
export type ConsumerClosed = {
  consumerId: string;
  reason: ConsumerClosedReason;
};

/** A consumer's producer paused or resumed, or the forwarded layers changed. */
export type ConsumerUpdated = {
  consumerId: string;
  producerPaused: boolean;
  layers: Layers | null;
  starved: boolean;
};

/** The encodings of a producer of this session that somebody wants, in rising quality. */
export type ProducerLayers = {
  producerId: string;
  active: boolean[];
};

/** A transport of this session connected, fell silent, failed or closed. */
export type TransportStateChanged = {
  transportId: string;
  state: TransportState;
};

/** The present speakers, loudest first. */
export type ActiveSpeakers = {
  userIds: string[];
};

/** How good the connection between a member and the gateway is now. */
export type ConnectionQualityChanged = {
  userId: string;
  quality: ConnectionQuality;
};

/** What a moderator decided about the channel. `maxMembers` is None without a limit. */
export type ChannelState = {
  locked: boolean;
  maxMembers?: number;
};

/** A message that another member sent with `message`. */
export type MessageReceived = {
  from: string;
  data: unknown;
};

/** The last message before the gateway closes the connection with `code` (see `CloseCode`). */
export type Closing = {
  reason: string;
  code: number;
  retryAfterMs?: number;
  url?: string;
};

/** A moderator has moved the client to another channel. The fields are those of the answer to `move`. */
export type ChannelChanged = {
  sessionId: string;
  userId: string;
  channelId: string;
  participants: Participant[];
  revision: number;
  routerRtpCapabilities: RtpCapabilities;
  iceServers: RTCIceServer[];
  pingIntervalMs: number;
  sessionSecret: string;
  epoch: number;
  grants: string[];
  mediaKept: boolean;
};

export type RequestMap = {
  join: { data: Join; ok: Joined };
  move: { data: Move; ok: Moved };
  resume_session: { data: ResumeSession; ok: SessionResumed };
  update: { data: Update; ok: Done };
  leave: { data: Leave; ok: Done };
  create_transport: { data: CreateTransport; ok: TransportCreated };
  connect_transport: { data: ConnectTransport; ok: Done };
  restart_ice: { data: RestartIce; ok: IceRestarted };
  set_ice_parameters: { data: SetIceParameters; ok: Done };
  produce: { data: Produce; ok: Produced };
  consume: { data: Consume; ok: Consumed };
  consume_many: { data: ConsumeMany; ok: ConsumedMany };
  pause: { data: Pause; ok: Done };
  resume: { data: Resume; ok: Done };
  close: { data: Close; ok: Done };
  set_layers: { data: SetLayers; ok: Done };
  set_priority: { data: SetPriority; ok: Done };
  message: { data: SendMessage; ok: Delivered };
  ping: { data: Ping; ok: Done };
  stats: { data: GetStats; ok: Stats };
  remove_participant: { data: RemoveParticipant; ok: Done };
  readmit_participant: { data: ReadmitParticipant; ok: Done };
  mute: { data: Mute; ok: Done };
  unmute: { data: Unmute; ok: Done };
  deafen: { data: Deafen; ok: Done };
  undeafen: { data: Undeafen; ok: Done };
  lock_channel: { data: LockChannel; ok: Done };
  unlock_channel: { data: UnlockChannel; ok: Done };
  limit_members: { data: LimitMembers; ok: Done };
  end_channel: { data: EndChannel; ok: Done };
  renew_token: { data: RenewToken; ok: TokenRenewed };
  watch: { data: Watch; ok: Watched };
  unwatch: { data: Unwatch; ok: Done };
};

export type EventMap = {
  voice_state: VoiceState;
  consumer_closed: ConsumerClosed;
  consumer_updated: ConsumerUpdated;
  producer_layers: ProducerLayers;
  transport_state: TransportStateChanged;
  active_speakers: ActiveSpeakers;
  connection_quality: ConnectionQualityChanged;
  channel_state: ChannelState;
  message: MessageReceived;
  closing: Closing;
  channel_changed: ChannelChanged;
};

export type RequestType = keyof RequestMap;

export type Request = {
  [T in RequestType]: { id: number; type: T; data: RequestMap[T]['data'] };
}[RequestType];

export type OkResponse<T extends RequestType = RequestType> = { id: number; type: 'ok'; data: RequestMap[T]['ok'] };

export type ErrorResponse = { id: number | null; type: 'error'; data: ErrorData };

export type Response<T extends RequestType = RequestType> = OkResponse<T> | ErrorResponse;

export type EventType = keyof EventMap;

export type GatewayEvent = { [T in EventType]: { seq?: number; type: T; data: EventMap[T] } }[EventType];

export type GatewayMessage = Response | GatewayEvent;

/** Sizes in bytes of UTF-8, lengths in characters or items, times in seconds. */
export const LIMITS = {
  subprotocol: 'trio-sfu.v1',
  path: '/ws',
  maxRequestBytes: 262144,
  maxRequestDepth: 32,
  maxGatewayMessageBytes: 16777216,
  maxGatewayMessageDepth: 64,
  maxRequestId: 9007199254740991,
  maxIdCharacters: 128,
  minSecretCharacters: 22,
  maxUsernameCharacters: 64,
  maxDecomposedUsernameCharacters: 256,
  maxTokenCharacters: 8192,
  maxMetadataBytes: 4096,
  maxMessageBytes: 16384,
  maxRecipients: 1024,
  maxWatchedChannels: 100,
  maxConsumedAtOnce: 32,
  maxLayer: 255,
  maxPriority: 255,
  maxModerationSeconds: 2592000,
  maxMembersLimit: 1000000,
  maxCodecs: 128,
  maxHeaderExtensions: 64,
  maxEncodings: 8,
  maxRtcpFeedback: 32,
  maxCodecParameters: 64,
  maxCodecParameterCharacters: 1024,
  maxFingerprints: 16,
  minUfragCharacters: 4,
  minIcePasswordCharacters: 22,
  maxIceCharacters: 256,
  maxShortTextCharacters: 256,
  maxListedParticipants: 100,
  listedBacklog: 65536,
  maxUnacknowledgedBytes: 262144,
  acknowledgeBytes: 131072,
  acknowledgeSeconds: 10.0,
  voiceStateBytes: 1024,
  errorBudget: 20,
  errorBudgetWindow: 10.0,
  pingInterval: 5.0,
  pongTimeout: 4.5,
  mediaGrace: 20.0,
  joinTimeout: 10.0,
  sessionCleanupTimeout: 5.0,
  goodbyeTimeout: 1.0,
  leastRestartWaitMs: 250,
  mostRestartWaitMs: 1000,
} as const;
