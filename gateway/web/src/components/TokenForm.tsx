import { useEffect, useRef, useState, type FormEvent } from "react";

import { LIMITS } from "../protocol";
import { wrongTokenWords } from "../words";

interface TokenFormProps {
  /** The gateway rejected the token that was given. */
  isWrong: boolean;
  /** What the gateway said about it. */
  reason: string;
  onToken(token: string): void;
  onBack(): void;
}

/** Asks for the token that this gateway requires. */
export function TokenForm({ isWrong, reason, onToken, onBack }: TokenFormProps) {
  const [token, setToken] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token !== "") onToken(token);
  };

  return (
    <main className="lobby">
      <form className="card" onSubmit={submit} aria-labelledby="token-title" data-testid="notice" data-code="4401">
        <span className="brand" aria-hidden="true" />
        <h1 id="token-title">This gateway asks for a token</h1>
        <p className="muted">The people who run the gateway can give you one.</p>
        <label className="field">
          <span>Token</span>
          <input
            ref={field}
            data-testid="token"
            name="token"
            type="password"
            value={token}
            onChange={(event) => setToken(event.target.value)}
            maxLength={LIMITS.maxTokenCharacters}
            autoComplete="current-password"
            aria-describedby={isWrong ? "token-hint" : undefined}
            aria-invalid={isWrong}
            required
          />
          {isWrong && (
            <small id="token-hint" className="wrong" role="alert">
              {wrongTokenWords(reason)}
            </small>
          )}
        </label>
        <button type="submit" className="primary wide" data-testid="again" disabled={token === ""}>
          Join
        </button>
        <button type="button" className="wide" data-testid="back" onClick={onBack}>
          Back
        </button>
      </form>
    </main>
  );
}
