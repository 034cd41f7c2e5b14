/**
 * Asks the gateway for consumers. Many requests of one turn of the event loop go together: whoever joins a large channel
 * wants a hundred streams at once.
 */
import { LIMITS, type RequestMap } from "./protocol";
import { RequestError, type Signalling } from "./signalling";

/** With fewer streams, each has a request of its own: the first answer comes sooner. */
const MANY = 8;

type Consumed = RequestMap["consume"]["ok"];

interface Wanted {
  readonly producerId: string;
  resolve(consumed: Consumed): void;
  reject(error: unknown): void;
}

export class ConsumeRequests {
  readonly #signalling: Signalling;
  /** What waits for the end of this turn, by transport. */
  readonly #waiting = new Map<string, Wanted[]>();

  constructor(signalling: Signalling) {
    this.#signalling = signalling;
  }

  /** Make a paused consumer at the gateway. Rejects with `RequestError` or `ConnectionEnded`. */
  ask(transportId: string, producerId: string): Promise<Consumed> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) queueMicrotask(() => this.#sendAll());
      const others = this.#waiting.get(transportId) ?? [];
      this.#waiting.set(transportId, [...others, { producerId, resolve, reject }]);
    });
  }

  #sendAll(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const [transportId, wanted] of waiting) {
      if (wanted.length < MANY) {
        for (const each of wanted) void this.#sendOne(transportId, each);
        continue;
      }
      for (let begin = 0; begin < wanted.length; begin += LIMITS.maxConsumedAtOnce) {
        void this.#sendMany(transportId, wanted.slice(begin, begin + LIMITS.maxConsumedAtOnce));
      }
    }
  }

  async #sendOne(transportId: string, { producerId, resolve, reject }: Wanted): Promise<void> {
    try {
      resolve(await this.#signalling.request("consume", { transportId, producerId, paused: true }));
    } catch (error) {
      reject(error);
    }
  }

  async #sendMany(transportId: string, wanted: readonly Wanted[]): Promise<void> {
    try {
      const producerIds = wanted.map(({ producerId }) => producerId);
      const answer = await this.#signalling.request("consume_many", { transportId, producerIds, paused: true });
      const consumers = new Map(answer.consumers.map((each) => [each.producerId, each]));
      const refused = new Map(answer.refused.map((each) => [each.producerId, each]));
      for (const { producerId, resolve, reject } of wanted) {
        const consumer = consumers.get(producerId);
        const { code = "not_found", message = "" } = refused.get(producerId) ?? {};
        if (consumer) resolve(consumer);
        else reject(new RequestError(code, message));
      }
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }
}
