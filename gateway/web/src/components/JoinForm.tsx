import { useEffect, useRef, useState, type FormEvent, type Ref } from "react";

import type { LinkOptions } from "../address";
import { asChannel, asUsername, isChannel } from "../names";
import { LIMITS } from "../protocol";
import { recall, remember } from "../remembered";
import type { JoinOptions } from "../room";

interface JoinFormProps {
  /** The channel named in the page's address. */
  channelId: string | undefined;
  linkOptions: LinkOptions;
  onJoin(options: FormOptions): void;
}

export type FormOptions = Omit<JoinOptions, "userId" | "token">;

export function JoinForm({ channelId, linkOptions, onJoin }: JoinFormProps) {
  const [remembered] = useState(recall);
  const [username, setUsername] = useState(linkOptions.name ?? remembered.name);
  const [channel, setChannel] = useState(channelId ?? "lobby");
  const [microphone, setMicrophone] = useState(linkOptions.microphone ?? remembered.microphone);
  const [camera, setCamera] = useState(linkOptions.camera ?? remembered.camera);
  const nameField = useRef<HTMLInputElement>(null);
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
        <p className="muted">Voice and video calls in your browser. No account, no download.</p>
        <NameField ref={nameField} value={username} onChange={setUsername} />
        <ChannelField ref={channelField} value={channel} isBad={isBadChannel} onChange={setChannel} />
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
