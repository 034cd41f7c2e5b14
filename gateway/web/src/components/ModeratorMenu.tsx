import { useRef, type ReactNode } from "react";

import type { Moderation } from "../moderation";
import type { ChannelState, Source } from "../protocol";
import type { TileContent } from "../tiles";
import { Icon } from "./Icon";

const NAMES: Partial<Record<Source, string>> = { microphone: "microphone", camera: "camera", screen: "screen" };

/** What a moderator can decide about a person. */
export function PersonMenu({ tile, moderation }: { tile: TileContent; moderation: Moderation }) {
  const { userId, username, kind, moderated, isDeafened } = tile;
  return (
    <Menu testId="moderate" className="moderate" label={`Moderate ${username}`} title={username}>
      {moderated.map(({ source, isMuted }) => (
        <button
          key={source}
          type="button"
          className="wide"
          data-testid={`moderate-${source}`}
          onClick={() => moderation.setMuted(userId, source, !isMuted)}
        >
          {isMuted ? `Allow the ${NAMES[source]}` : `Mute the ${NAMES[source]}`}
        </button>
      ))}
      {kind === "camera" && (
        <button
          type="button"
          className="wide"
          data-testid="moderate-deafen"
          onClick={() => moderation.setDeafened(userId, !isDeafened)}
        >
          {isDeafened ? "Let them hear and see again" : "Deafen: let them hear and see nobody"}
        </button>
      )}
      <button type="button" className="wide danger" data-testid="moderate-remove" onClick={() => moderation.remove(userId)}>
        Remove from the channel
      </button>
    </Menu>
  );
}

/** What a moderator can decide about the channel. */
export function ChannelMenu({ channel, moderation }: { channel: ChannelState; moderation: Moderation }) {
  const { locked } = channel;
  return (
    <Menu testId="moderate-channel" className="quiet" label="Moderate the channel" title="The channel" caption="Moderate">
      <button type="button" className="wide" data-testid="moderate-lock" onClick={() => moderation.setLocked(!locked)}>
        {locked ? "Unlock: let newcomers in" : "Lock: let no newcomer in"}
      </button>
      <button type="button" className="wide danger" data-testid="moderate-end" onClick={moderation.end}>
        End the call for everybody
      </button>
    </Menu>
  );
}

interface MenuProps {
  testId: string;
  className: string;
  /** For screen readers. */
  label: string;
  title: string;
  caption?: string;
  children: ReactNode;
}

/** A button that opens a small dialog. Each button in it closes it. A tile would cut off a menu that drops down. */
function Menu({ testId, className, label, title, caption, children }: MenuProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    // A click on a tile pins it. Neither the button nor the dialog is part of that.
    <span className="menu" onClick={(event) => event.stopPropagation()}>
      <button
        type="button"
        className={className}
        data-testid={testId}
        aria-label={label}
        title={label}
        onClick={() => dialog.current?.showModal()}
      >
        <Icon name="more" />
        {caption && <span aria-hidden="true">{caption}</span>}
      </button>
      <dialog ref={dialog} className="card" aria-label={label} onClick={() => dialog.current?.close()}>
        <strong>
          <bdi>{title}</bdi>
        </strong>
        {children}
        <button type="button" className="wide">
          Cancel
        </button>
      </dialog>
    </span>
  );
}
