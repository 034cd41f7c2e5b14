import { useCallback, useEffect, useState } from "react";

import { channelIn, pathOf, wishesIn } from "../address";
import { showToTests } from "../debug";
import { useRoom } from "../hooks/useRoom";
import { recall } from "../remembered";
import type { JoinOptions } from "../room";
import { Ended } from "./Ended";
import { JoinForm } from "./JoinForm";
import { VideoCall } from "./VideoCall";

export function App() {
  const { room, state } = useRoom();
  const [wishes] = useState(() => wishesIn(location.search));
  const [channelId, setChannelId] = useState(() => channelIn(location.pathname));

  const join = useCallback(
    (options: Omit<JoinOptions, "userId">) => {
      const path = pathOf(options.channelId);
      if (location.pathname !== path) history.pushState(null, "", path + location.search);
      setChannelId(options.channelId);
      room.join({ ...options, userId: wishes.userId });
    },
    [room, wishes],
  );

  useEffect(() => showToTests(room), [room]);

  useEffect(() => {
    const { name, microphone, camera } = { ...recall(), ...defined(wishes) };
    if (wishes.join && name) join({ channelId: channelIn(location.pathname) ?? "lobby", username: name, microphone, camera });
  }, [join, wishes]);

  useEffect(() => {
    const moved = () => {
      room.leave();
      setChannelId(channelIn(location.pathname));
    };
    window.addEventListener("popstate", moved);
    return () => window.removeEventListener("popstate", moved);
  }, [room]);

  useEffect(() => {
    document.title = state.phase === "idle" ? "trio-sfu" : `${state.channelId} · trio-sfu`;
  }, [state.phase, state.channelId]);

  if (state.phase === "idle") return <JoinForm channelId={channelId} name={wishes.name} onJoin={join} />;
  if (state.phase === "ended" && state.ended) {
    return <Ended ended={state.ended} onAgain={() => room.comeBack()} onBack={() => room.leave()} />;
  }
  return <VideoCall room={room} state={state} onLeave={() => room.leave()} />;
}

/** What is there of some values, so that the rest can have defaults. */
function defined<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
