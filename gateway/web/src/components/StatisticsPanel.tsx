import { useEffect, useRef } from "react";

import { useStatistics } from "../hooks/useStatistics";
import type { Source } from "../protocol";
import type { Room, RoomState } from "../room";
import type { Figures } from "../statistics";
import { Icon } from "./Icon";

interface StatisticsPanelProps {
  room: Room;
  state: RoomState;
  onClose(): void;
}

const SOURCES: Readonly<Record<Source, string>> = {
  microphone: "voice",
  camera: "camera",
  screen: "screen",
  screen_audio: "screen's sound",
  other: "other",
};

/** What browser and gateway measure of every stream, for people who want to know why a call is bad. */
export function StatisticsPanel({ room, state, onClose }: StatisticsPanelProps) {
  const panel = useRef<HTMLElement>(null);
  const statistics = useStatistics(room);
  useEffect(() => panel.current?.focus(), []);

  const names = new Map(state.presence.participants.map(({ userId, username }) => [userId, username]));
  const { received = [], sent = [], sendable, receivable } = statistics ?? {};
  return (
    <section
      ref={panel}
      className="statistics"
      aria-label="Statistics"
      tabIndex={-1}
      data-testid="statistics"
      onKeyDown={({ key }) => key === "Escape" && onClose()}
    >
      <header>
        <h2>Statistics</h2>
        <button type="button" className="dismiss" aria-label="Close the statistics" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <dl>
        <dt>Can be sent</dt>
        <dd data-testid="sendable">{rate(sendable)}</dd>
        <dt>Can be received</dt>
        <dd data-testid="receivable">{rate(receivable)}</dd>
      </dl>
      <Streams title="Received" streams={received} nameOf={({ userId = "" }) => names.get(userId) ?? ""} />
      <Streams title="Sent" streams={sent} nameOf={() => ""} />
      {!statistics && <p className="muted">Measuring…</p>}
    </section>
  );
}

interface StreamsProps {
  title: string;
  streams: readonly Figures[];
  nameOf(stream: Figures): string;
}

function Streams({ title, streams, nameOf }: StreamsProps) {
  if (streams.length === 0) return null;
  return (
    <table data-testid={`statistics-${title.toLowerCase()}`}>
      <caption>{title}</caption>
      <thead>
        <tr>
          <th scope="col">Stream</th>
          <th scope="col">Picture</th>
          <th scope="col">Frames/s</th>
          <th scope="col">Rate</th>
          <th scope="col">Lost</th>
          <th scope="col">Round trip</th>
          <th scope="col">Layer</th>
        </tr>
      </thead>
      <tbody>
        {streams.map((stream) => (
          <tr key={stream.key} data-source={stream.source} data-user-id={stream.userId}>
            <th scope="row">
              <bdi>{nameOf(stream)}</bdi> {SOURCES[stream.source]}
            </th>
            <td>{stream.size}</td>
            <td>{stream.framesPerSecond?.toFixed(0)}</td>
            <td>{rate(stream.bitsPerSecond)}</td>
            <td>{stream.lost === undefined ? "" : `${(100 * stream.lost).toFixed(1)} %`}</td>
            <td>{stream.roundTripMs === undefined ? "" : `${stream.roundTripMs.toFixed(0)} ms`}</td>
            <td>{stream.layers}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function rate(bitsPerSecond: number | undefined): string {
  if (bitsPerSecond === undefined) return "unknown";
  if (bitsPerSecond >= 1_000_000) return `${(bitsPerSecond / 1_000_000).toFixed(1)} Mbit/s`;
  return `${(bitsPerSecond / 1_000).toFixed(0)} kbit/s`;
}
