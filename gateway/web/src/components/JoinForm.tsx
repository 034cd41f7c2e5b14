import { useEffect, useRef, type FormEvent, type Ref, type RefObject } from "react";

import type { FormOptions } from "../hooks/useEntries";
import { asChannel, asUsername, isChannel } from "../names";
import { LIMITS } from "../protocol";

interface JoinFormProps {
  entries: FormOptions;
  /** The field for the name, so that others can give it the focus. */
  nameField: RefObject<HTMLInputElement | null>;
  onChange(entries: Partial<FormOptions>): void;
  onJoin(): void;
}

export function JoinForm({ entries, nameField, onChange, onJoin }: JoinFormProps) {
  const { channelId: channel, username, microphone, camera } = entries;
  const channelField = useRef<HTMLInputElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const isNamed = asUsername(username) !== "";
  const isBadChannel = channel !== "" && !isChannel(channel);
  const isComplete = isNamed && isChannel(channel);

  // Focus the first field that needs attention. Someone with a remembered name only has to press Enter.
  useEffect(() => {
    const next = !isNamed ? nameField : isBadChannel ? channelField : button;
    next.current?.focus();
  }, []);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isComplete) onJoin();
  };

  return (
    <main className="lobby">
      <form className="card" onSubmit={submit} aria-labelledby="lobby-title">
        <span className="brand" aria-hidden="true" />
        <h1 id="lobby-title">Join a channel</h1>
        <p className="muted">Voice and video calls in your browser. No account, no download.</p>
        <NameField ref={nameField} value={username} onChange={(entered) => onChange({ username: entered })} />
        <ChannelField ref={channelField} value={channel} isBad={isBadChannel} onChange={(channelId) => onChange({ channelId })} />
        <fieldset className="choices">
          <legend className="hidden">Join with</legend>
          <Choice label="Microphone" isOn={microphone} onChange={(isOn) => onChange({ microphone: isOn })} />
          <Choice label="Camera" isOn={camera} onChange={(isOn) => onChange({ camera: isOn })} />
        </fieldset>
        <button ref={button} className="primary wide" type="submit" data-testid="join" disabled={!isComplete}>
          Join
        </button>
      </form>
    </main>
  );
}

interface FieldProps {
  ref: Ref<HTMLInputElement>;
  value: string;
  onChange(value: string): void;
}

function NameField({ ref, value, onChange }: FieldProps) {
  return (
    <label className="field">
      <span>Your name</span>
      <input
        ref={ref}
        data-testid="name"
        name="name"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        maxLength={LIMITS.maxUsernameCharacters}
        autoComplete="nickname"
        placeholder="How others see you"
        required
      />
    </label>
  );
}

function ChannelField({ ref, value, isBad, onChange }: FieldProps & { isBad: boolean }) {
  return (
    <label className="field">
      <span>Channel</span>
      <input
        ref={ref}
        data-testid="channel"
        name="channel"
        value={value}
        onChange={(event) => onChange(asChannel(event.target.value))}
        aria-describedby="channel-hint"
        aria-invalid={isBad}
        autoCapitalize="none"
        autoComplete="off"
        spellCheck={false}
        required
      />
      <small id="channel-hint" className={isBad ? "wrong" : "muted"} aria-live="polite">
        {isBad
          ? `Please use only the letters a to z, digits and _ . : - (at most ${LIMITS.maxIdCharacters} characters).`
          : "Meet people who enter the same channel."}
      </small>
    </label>
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
