import { useEffect, useRef, type CSSProperties } from "react";

import { useView } from "../hooks/useView";
import type { TileContent, TileSize } from "../tiles";
import type { Views } from "../views";
import type { Moderation } from "../moderation";
import { DEAFENED } from "../words";
import { Icon } from "./Icon";
import { Video } from "./Media";
import { PersonMenu } from "./ModeratorMenu";
import { QualityMark } from "./QualityMark";

interface TileProps {
  tile: TileContent;
  /** Undefined until the page is laid out. */
  size: TileSize | undefined;
  views: Views;
  isPinned: boolean;
  /** Whether the tile was made anew because the person pinned or unpinned it. The focus must not get lost. */
  takesFocus: boolean;
  /** Undefined unless this person is a moderator. */
  moderation: Moderation | undefined;
  /** Pin the tile, or unpin it. */
  onPin(): void;
}

export function Tile({ tile, size, views, isPinned, takesFocus, moderation, onPin }: TileProps) {
  const { userId, username, kind, isSelf, isMuted, isDeafened, isSpeaking, isReconnecting, isStarved, quality, track } = tile;
  const element = useView(views, userId, kind, isSelf ? undefined : size, isPinned);
  const pin = useRef<HTMLButtonElement>(null);
  useEffect(() => (takesFocus ? pin.current?.focus() : undefined), []); // only when the tile is made
  const isScreen = kind === "screen";
  const note = [isSelf ? " (you)" : "", isScreen ? " · screen" : ""].join("");
  const showsMuted = isMuted && !isScreen;
  const showsDeafened = isDeafened && !isScreen;
  const classes = ["tile", kind, isSpeaking && !isScreen ? "speaking" : "", isSelf ? "self" : "", isReconnecting ? "reconnecting" : "", isStarved ? "starved" : ""];
  return (
    <li
      ref={element}
      className={classes.filter(Boolean).join(" ")}
      data-testid="tile"
      data-user-id={userId}
      data-kind={kind}
      data-self={isSelf}
      data-muted={showsMuted}
      data-deafened={showsDeafened}
      data-reconnecting={isReconnecting}
      data-starved={isStarved}
      data-pinned={isPinned}
      onClick={onPin}
    >
      {!isScreen && (
        <span className="avatar" style={{ "--hue": hueOf(username) } as CSSProperties} aria-hidden="true">
          {initialsOf(username)}
        </span>
      )}
      {track && (
        <Video track={track} label={`Video of ${username}${note}`} userId={userId} kind={kind} isMirrored={isSelf && !isScreen} />
      )}
      {isReconnecting && (
        // Screen readers get the line of the page.
        <span className="note" aria-hidden="true">
          Reconnecting…
        </span>
      )}
      {showsDeafened && isSelf && !isReconnecting && <span className="note">{DEAFENED.note}</span>}
      {isStarved && !isReconnecting && <span className="note">Video paused: slow connection</span>}
      <span className="corner">
        {/* A click anywhere on the tile does the same. The button is for keyboards and screen readers. */}
        <button
          ref={pin}
          type="button"
          className="pin"
          data-testid="pin"
          aria-pressed={isPinned}
          aria-label={`Pin ${username}${note}`}
        >
          <Icon name="pin" />
        </button>
        {moderation && !isSelf && <PersonMenu tile={tile} moderation={moderation} />}
        {quality && <QualityMark quality={quality} />}
      </span>
      <span className="name">
        {showsMuted && (
          <>
            <Icon name="muted" />
            <span className="hidden">Muted: </span>
          </>
        )}
        {showsDeafened && (
          <>
            <Icon name="deafened" />
            <span className="hidden">{DEAFENED.mark}: </span>
          </>
        )}
        <span className="who" title={username}>
          <bdi>{username}</bdi>
          {note}
        </span>
      </span>
    </li>
  );
}

function initialsOf(username: string): string {
  const words = username.trim().split(/\s+/);
  return [words[0], ...words.slice(1).slice(-1)].map(firstOf).join("").toUpperCase();
}

/** The first character as a reader counts them. A flag or an emoji can be several code points. */
function firstOf(word = ""): string {
  const [first] = new Intl.Segmenter().segment(word);
  return first?.segment ?? "";
}

/** A colour (0 to 359 degrees) that depends on the name alone, so that everybody sees the same one. */
function hueOf(username: string): number {
  return [...username].reduce((sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 360, 7);
}
