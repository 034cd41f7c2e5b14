/** The participant list. It alone decides who is in the channel and which producers there are to consume. */
import type { Participant, VoiceState } from "./protocol";

/** What an event did to the list. After a `gap` the list may be wrong, and the client has to join again. */
export type Change =
  | { readonly kind: "applied"; readonly joined: readonly Participant[]; readonly left: readonly Participant[] }
  | { readonly kind: "stale" }
  | { readonly kind: "gap" };

export class Roster {
  #participants: readonly Participant[];
  #revision: number;

  constructor(participants: readonly Participant[], revision: number) {
    this.#participants = participants;
    this.#revision = revision;
  }

  /** In the order of joining. Every change makes a new array, so arrays may be compared by identity. */
  get participants(): readonly Participant[] {
    return this.#participants;
  }

  get revision(): number {
    return this.#revision;
  }

  apply(event: VoiceState): Change {
    if (event.revision <= this.#revision) return { kind: "stale" };
    if (event.revision !== this.#revision + 1) return { kind: "gap" };
    return this.replace(event.participants ?? changed(this.#participants, event), event.revision);
  }

  /** Take the whole list as of this revision. */
  replace(after: readonly Participant[], revision: number): Change {
    const before = this.#participants;
    this.#participants = after;
    this.#revision = revision;
    return { kind: "applied", joined: missingFrom(before, after), left: missingFrom(after, before) };
  }
}

function changed(before: readonly Participant[], { type, participant }: VoiceState): readonly Participant[] {
  if (type === "user_joined") return [...before, participant];
  if (type === "user_left") return before.filter((each) => each.userId !== participant.userId);
  return before.map((each) => (each.userId === participant.userId ? participant : each));
}

/** The participants in `these` who are not in `list`. */
function missingFrom(list: readonly Participant[], these: readonly Participant[]): readonly Participant[] {
  const present = new Set(list.map((each) => each.userId));
  return these.filter((each) => !present.has(each.userId));
}
