import { useSyncExternalStore, type ReactNode } from "react";

import { useCountdown } from "../hooks/useCountdown";
import type { LocalDevice } from "../localMedia";
import type { Room, RoomState } from "../room";
import type { Sound } from "../sound";
import { blockedWords, troubles, waitingWords, type TroubleWords } from "../words";
import { Icon } from "./Icon";

interface NoticesProps {
  room: Room;
  state: RoomState;
  sound: Sound;
}

/** Everything the person should know or do now, the most urgent first. */
export function Notices({ room, state, sound }: NoticesProps) {
  const isBlocked = useSyncExternalStore(sound.subscribe, sound.isBlocked);
  const { phase, ended, presence, local } = state;
  return (
    <div className="notices" role="status">
      {ended && phase !== "joined" && <Waiting room={room} state={state} ended={ended} />}
      {isBlocked && (
        <Notice code="sound" title="The sound is off" text="The browser waits for you to turn it on.">
          <button type="button" className="primary" data-testid="sound-button" onClick={() => void sound.turnOn()}>
            <Icon name="sound" /> Turn on sound
          </button>
        </Notice>
      )}
      {phase === "joined" && !presence.flowing && (
        <Notice code="media" {...blockedWords(navigator.userAgent, location.hostname)} />
      )}
      {state.notModerated !== undefined && (
        <Notice code="not-moderated" title="The gateway did not do that" text={`It says: ${state.notModerated}.`} onDismiss={room.moderation.dismiss} />
      )}
      {troubles(local).map((trouble) => (
        <TroubleNotice key={trouble.devices.join()} room={room} {...trouble} />
      ))}
    </div>
  );
}

interface WaitingProps {
  room: Room;
  state: RoomState;
  ended: NonNullable<RoomState["ended"]>;
}

function Waiting({ room, state, ended }: WaitingProps) {
  const seconds = useCountdown(state.retryAt);
  const { title, text } = waitingWords(ended);
  const isWaiting = state.phase === "waiting" && seconds > 0;
  return (
    <Notice code={String(ended.code)} title={title} text={text}>
      {/* Hidden from screen readers, which would read it out every second. They get the line below. */}
      <span className="countdown" aria-hidden="true">
        {isWaiting ? `Reconnecting in ${seconds} s` : "Reconnecting…"}
      </span>
      <span className="hidden">Reconnecting.</span>
      {isWaiting && (
        <button type="button" data-testid="retry" onClick={() => room.retryNow()}>
          Try now
        </button>
      )}
    </Notice>
  );
}

function TroubleNotice({ room, trouble, devices, title, text }: TroubleWords & { room: Room }) {
  const again = () => devices.forEach((device) => start(room, device));
  const dismiss = () => devices.forEach((device) => room.local.dismiss(device));
  return (
    <Notice code={trouble} title={title} text={text} onDismiss={dismiss}>
      {trouble !== "insecure" && trouble !== "moderated" && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </Notice>
  );
}

function start(room: Room, device: LocalDevice): void {
  if (device === "microphone") void room.local.setMicrophone(true);
  else if (device === "camera") void room.local.setCamera(true);
  else void room.local.setScreen(true);
}

interface NoticeProps {
  code: string;
  title: string;
  text: string;
  children?: ReactNode;
  onDismiss?(): void;
}

function Notice({ code, title, text, children, onDismiss }: NoticeProps) {
  return (
    <section className="notice" data-testid="notice" data-code={code}>
      <div className="words">
        <strong>{title}</strong>
        <p>{text}</p>
      </div>
      {children && <div className="actions">{children}</div>}
      {onDismiss && (
        <button type="button" className="dismiss" aria-label="Dismiss" onClick={onDismiss}>
          <Icon name="close" />
        </button>
      )}
    </section>
  );
}
