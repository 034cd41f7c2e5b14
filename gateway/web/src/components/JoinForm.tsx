import { useEffect, useRef, useState, type FormEvent } from "react";

import type { Wishes } from "../address";
import { asChannel, asUsername, isChannel } from "../names";
import { LIMITS } from "../protocol";
import { recall, remember } from "../remembered";
import type { JoinOptions } from "../room";

interface JoinFormProps {
  /** The channel that the address leads to. */
  channelId: string | undefined;
  wishes: Wishes;
  onJoin(options: FormOptions): void;
}

export type FormOptions = Omit<JoinOptions, "userId" | "token">;

export function JoinForm({ channelId, wishes, onJoin }: JoinFormProps) {
  const [remembered] = useState(recall);
  const [username, setUsername] = useState(wishes.name ?? remembered.name);
  const [channel, setChannel] = useState(channelId ?? "lobby");
  const [microphone, setMicrophone] = useState(wishes.microphone ?? remembered.microphone);
  const [camera, setCamera] = useState(wishes.camera ?? remembered.camera);
  const nameField = useRef<HTMLInputElement>(null);
  const channelField = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const isNamed = asUsername(username) !== "";
  const isBadChannel = channel !== "" && !isChannel(channel);
  const isComplete = isNamed && isChannel(channel);

  // Whoever is known needs no more than Enter.
  useEffect(() => {
    const next = !isNamed ? nameField : isBadChannel ? channelField : button;
    next.current?.focus();
  }, []);
  useEffect(() => {
    if (channelId !== undefined) setChannel(channelId);
  }, [channelId]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!isComplete) return;
    const options = { channelId: channel, username: asUsername(username), microphone, camera };
    remember({ name: options.username, microphone, camera });
    onJoin(options);
  };

  return (
    <main className="lobby">
      <form className="card" onSubmit={submit} aria-labelledby="lobby-title">
        <span className="brand" aria-hidden="true" />
        <h1 id="lobby-title">Join a channel</h1>
        <p className="muted">Voice and video with whoever is there. No account, no download.</p>
        <label className="field">
          <span>Your name</span>
          <input
            ref={nameField}
            data-testid="name"
            name="name"
            value={username}
            onChange={(event) => setUsername(event.target.value)}
            maxLength={LIMITS.maxUsernameCharacters}
            autoComplete="nickname"
            placeholder="How others see you"
            required
          />
        </label>
        <label className="field">
          <span>Channel</span>
          <input
            ref={channelField}
            data-testid="channel"
            name="channel"
            value={channel}
            onChange={(event) => setChannel(asChannel(event.target.value))}
            aria-describedby="channel-hint"
            aria-invalid={isBadChannel}
            autoCapitalize="none"
            autoComplete="off"
            spellCheck={false}
            required
          />
          <small id="channel-hint" className={isBadChannel ? "wrong" : "muted"} aria-live="polite">
            {isBadChannel
              ? `Only the letters a to z, digits and _ . : - can be in a channel's name, ${LIMITS.maxIdCharacters} at most.`
              : "Whoever enters the same channel meets you there."}
          </small>
        </label>
        <fieldset className="choices">
          <legend className="hidden">Join with</legend>
          <Choice label="Microphone" isOn={microphone} onChange={setMicrophone} />
          <Choice label="Camera" isOn={camera} onChange={setCamera} />
        </fieldset>
        <button ref={button} className="primary wide" type="submit" data-testid="join" disabled={!isComplete}>
          Join
        </button>
      </form>
    </main>
  );
}

interface ChoiceProps {
  label: string;
  isOn: boolean;
  onChange(isOn: boolean): void;
}

function Choice({ label, isOn, onChange }: ChoiceProps) {
  return (
    <label className="choice">
      <input
        type="checkbox"
        role="switch"
        data-testid={`with-${label.toLowerCase()}`}
        checked={isOn}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span>{label}</span>
    </label>
  );
}
