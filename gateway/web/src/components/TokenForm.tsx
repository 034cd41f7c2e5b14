import { useEffect, useRef, useState, type FormEvent } from "react";

import { LIMITS } from "../protocol";

interface TokenFormProps {
  /** A token was given, and the gateway did not take it. */
  isWrong: boolean;
  onToken(token: string): void;
  onBack(): void;
}

/** Asks for what the gateway wants to see before it lets somebody in. */
export function TokenForm({ isWrong, onToken, onBack }: TokenFormProps) {
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
        <h1 id="token-title">A token is needed</h1>
        <p className="muted">This gateway lets in who brings its token. Whoever runs it can give it to you.</p>
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
              The token that was given is not the right one.
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
