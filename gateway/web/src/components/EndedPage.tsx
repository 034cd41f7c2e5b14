import { useEffect, useRef } from "react";

import type { RoomState } from "../room";
import { endedWords } from "../words";

const REPLACED = 4409;

interface EndedPageProps {
  ended: NonNullable<RoomState["ended"]>;
  onAgain(): void;
  onBack(): void;
}

/** Shown after the call ended. The page rejoins only if the person presses the button. */
export function EndedPage({ ended, onAgain, onBack }: EndedPageProps) {
  const again = useRef<HTMLButtonElement>(null);
  useEffect(() => again.current?.focus(), []);
  const { title, text } = endedWords(ended);
  return (
    <main className="lobby">
      <section className="card" role="alert" data-testid="notice" data-code={ended.code}>
        <span className="brand" aria-hidden="true" />
        <h1>{title}</h1>
        <p className="muted">{text}</p>
        <button ref={again} type="button" className="primary wide" data-testid="again" onClick={onAgain}>
          {ended.code === REPLACED && ended.wasJoined ? "Use here instead" : "Try again"}
        </button>
        <button type="button" className="wide" data-testid="back" onClick={onBack}>
          Back
        </button>
      </section>
    </main>
  );
}
