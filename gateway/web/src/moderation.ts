/** The decisions of a moderator about people and the channel. The gateway makes them true, or refuses. */
import type { RequestMap, Source } from "./protocol";
import { RequestError } from "./signalling";

type Decision = "remove_participant" | "mute" | "unmute" | "deafen" | "undeafen" | "lock_channel" | "unlock_channel" | "end_channel";
/** Sends a request. Undefined without a connection. */
type Ask = <T extends Decision>(type: T, data: RequestMap[T]["data"]) => Promise<unknown> | undefined;

export class Moderation {
  readonly #ask: Ask;
  readonly #refused: (why: string | undefined) => void;

  /** `refused` gets the reason if the gateway refuses, and undefined as soon as that is no longer true. */
  constructor(ask: Ask, refused: (why: string | undefined) => void) {
    this.#ask = ask;
    this.#refused = refused;
  }

  readonly remove = (userId: string): void => this.#decide("remove_participant", { userId });

  readonly setMuted = (userId: string, source: Source, isMuted: boolean): void =>
    this.#decide(isMuted ? "mute" : "unmute", { userId, source });

  readonly setDeafened = (userId: string, isDeafened: boolean): void =>
    this.#decide(isDeafened ? "deafen" : "undeafen", { userId });

  readonly setLocked = (isLocked: boolean): void => this.#decide(isLocked ? "lock_channel" : "unlock_channel", {});

  readonly end = (): void => this.#decide("end_channel", {});

  /** The person has read why the gateway refused. */
  readonly dismiss = (): void => this.#refused(undefined);

  #decide<T extends Decision>(type: T, data: RequestMap[T]["data"]): void {
    this.#refused(undefined);
    // A connection that ends meanwhile has a notice of its own.
    this.#ask(type, data)?.catch((error: unknown) => error instanceof RequestError && this.#refused(error.message));
  }
}
