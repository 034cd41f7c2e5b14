import { useEffect, useRef, useState } from "react";

import { useShortcuts } from "../hooks/useShortcuts";
import type { Room, RoomState } from "../room";
import { Sound } from "../sound";
import { tilesOf } from "../tiles";
import { reconnectingWords } from "../words";
import { Controls } from "./Controls";
import { CopyLink } from "./CopyLink";
import { Icon } from "./Icon";
import { Voice } from "./Media";
import { ChannelMenu } from "./ModeratorMenu";
import { NewsLine } from "./NewsLine";
import { Notices } from "./Notices";
import { StatisticsPanel } from "./StatisticsPanel";
import { Tiles } from "./Tiles";

interface VideoCallProps {
  room: Room;
  state: RoomState;
  onLeave(): void;
}

export function VideoCall({ room, state, onLeave }: VideoCallProps) {
  const [sound] = useState(() => new Sound());
  const [showsStatistics, setShowsStatistics] = useState(false);
  const title = useRef<HTMLHeadingElement>(null);
  const statisticsButton = useRef<HTMLButtonElement>(null);
  // A screen reader reads out the heading that has the focus: the channel's name.
  useEffect(() => title.current?.focus(), [state.channelId]);

  const toggleStatistics = () => setShowsStatistics(!showsStatistics);
  useShortcuts({ s: toggleStatistics });
  const closeStatistics = () => {
    setShowsStatistics(false);
    statisticsButton.current?.focus();
  };

  const { channelId, presence, local, news } = state;
  const voices = presence.media.filter(({ kind }) => kind === "audio");
  return (
    <div className="call">
      <header className="bar">
        <h1 ref={title} tabIndex={-1}>
          <span className="hidden">Channel </span>
          {channelId}
        </h1>
        <CopyLink />
        <button
          ref={statisticsButton}
          type="button"
          className="quiet"
          data-testid="statistics-button"
          aria-expanded={showsStatistics}
          aria-keyshortcuts="S"
          title="Statistics (S)"
          onClick={toggleStatistics}
        >
          <Icon name="statistics" />
          <span>Statistics</span>
        </button>
        {presence.moderates && <ChannelMenu channel={presence.channel} moderation={room.moderation} />}
        {presence.channel.locked && (
          <span className="locked" title="A moderator locked this channel" data-testid="locked">
            <Icon name="lock" />
            <span>Locked</span>
          </span>
        )}
        <Together state={state} />
      </header>
      <Notices room={room} state={state} sound={sound} />
      <main className="main">
        <Tiles tiles={tilesOf(state)} views={room.views} moderation={presence.moderates ? room.moderation : undefined} />
        {showsStatistics && <StatisticsPanel room={room} state={state} onClose={closeStatistics} />}
        <NewsLine news={news} />
        <p className="hidden" role="status" data-testid="reconnecting">
          {reconnectingWords(presence)}
        </p>
      </main>
      <Controls room={room} local={local} onLeave={onLeave} />
      {voices.map(({ producerId, userId, track }) => (
        <Voice key={producerId} userId={userId} track={track} sound={sound} />
      ))}
    </div>
  );
}

/** How many people are in the channel. Without a connection there is no list, so there is no count. */
function Together({ state }: { state: RoomState }) {
  const { phase, presence, ended } = state;
  if (phase === "joined") {
    return (
      <p className="together" data-testid="together">
        Together now: {presence.participants.length}
      </p>
    );
  }
  return <p className="together pending">{ended ? "Reconnecting…" : "Joining…"}</p>;
}
