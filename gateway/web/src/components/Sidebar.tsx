import { useRef, useState, type KeyboardEvent } from "react";

import { countWords, type ShownChannel, type ShownChannels, type ShownPerson } from "../sidebar";
import { DEAFENED } from "../words";
import { Icon } from "./Icon";

interface SidebarProps {
  shown: ShownChannels;
  /** Whether the lists are as new as the network allows. */
  isCurrent: boolean;
  onPick(channelId: string): void;
}

/**
 * The channels with the people in them. On a narrow screen it is folded behind a button.
 *
 * It is no live region: a screen reader would read out everybody who comes and goes anywhere.
 */
export function Sidebar({ shown, isCurrent, onPick }: SidebarProps) {
  const [isOpen, setIsOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const pick = (channelId: string) => {
    setIsOpen(false);
    onPick(channelId);
  };
  const pressed = ({ key }: KeyboardEvent) => {
    if (key !== "Escape" || !isOpen) return;
    setIsOpen(false);
    button.current?.focus();
  };
  return (
    <nav className="sidebar" data-testid="sidebar" data-current={isCurrent} aria-label="Channels" onKeyDown={pressed}>
      <button
        ref={button}
        type="button"
        className="quiet toggle"
        data-testid="sidebar-button"
        aria-expanded={isOpen}
        aria-controls="sidebar-channels"
        onClick={() => setIsOpen(!isOpen)}
      >
        Channels: {countWords(shown.count)}
      </button>
      <div id="sidebar-channels" className={isOpen ? "panel open" : "panel"}>
        <h2>Channels</h2>
        {!isCurrent && <p className="muted">Reconnecting. This may be old.</p>}
        {shown.channels.length === 0 && <p className="muted">Nobody is in a channel now.</p>}
        {/* Without the role, Safari does not take a list without bullets for a list. */}
        <ul role="list">
          {shown.channels.map((channel) => (
            <Channel key={channel.channelId} channel={channel} onPick={pick} />
          ))}
        </ul>
        {shown.more > 0 && <p className="muted">And {shown.more} more channels</p>}
      </div>
    </nav>
  );
}

function Channel({ channel, onPick }: { channel: ShownChannel; onPick(channelId: string): void }) {
  const { channelId, isOwn, label, count, people } = channel;
  const more = count - people.length;
  return (
    <li>
      <button
        type="button"
        className="channel"
        data-testid="sidebar-channel"
        data-channel-id={channelId}
        aria-label={label}
        aria-current={isOwn ? "true" : undefined}
        onClick={() => onPick(channelId)}
      >
        <span className="title">{channelId}</span>
        <span className="count">{count}</span>
      </button>
      <ul role="list" aria-label={`People in ${channelId}`}>
        {people.map((person) => (
          <Person key={person.userId} person={person} />
        ))}
        {more > 0 && <li className="person muted">And {more} more</li>}
      </ul>
    </li>
  );
}

function Person({ person }: { person: ShownPerson }) {
  const { userId, username, isMuted, isDeafened, isSpeaking } = person;
  return (
    <li
      className={isSpeaking ? "person speaks" : "person"}
      data-testid="sidebar-person"
      data-user-id={userId}
      data-muted={isMuted}
      data-deafened={isDeafened}
      data-speaking={isSpeaking}
    >
      <bdi>{username}</bdi>
      {isSpeaking && <span className="hidden">, speaking</span>}
      {isMuted && (
        <span className="mark" title="Muted">
          <Icon name="muted" />
          <span className="hidden">, muted</span>
        </span>
      )}
      {isDeafened && (
        <span className="mark" title={DEAFENED.mark}>
          <Icon name="deafened" />
          <span className="hidden">, {DEAFENED.mark.toLowerCase()}</span>
        </span>
      )}
    </li>
  );
}
