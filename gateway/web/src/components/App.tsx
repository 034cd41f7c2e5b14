import { useCallback, useEffect, useState } from "react";

import { channelIn, isKiosk, pathOf, wishesIn } from "../address";
import { showToTests } from "../debug";
import { useRoom } from "../hooks/useRoom";
import { asUsername, isChannel } from "../names";
import { recall } from "../remembered";
import { Ended } from "./Ended";
import { JoinForm, type FormOptions } from "./JoinForm";
import { TokenForm } from "./TokenForm";
import { VideoCall } from "./VideoCall";

const UNAUTHENTICATED = 4401;

export function App() {
  const { room, state } = useRoom();
  const [wishes] = useState(() => wishesIn(location.search));
  const [channelId, setChannelId] = useState(() => channelIn(location.pathname));
  const [token, setToken] = useState(wishes.token);

  const join = useCallback(
    (options: FormOptions) => {
      const path = pathOf(options.channelId);
      if (location.pathname !== path) history.pushState(null, "", path + location.search);
      setChannelId(options.channelId);
      room.join({ ...options, userId: wishes.userId, token });
    },
    [room, wishes, token],
  );

  useEffect(() => showToTests(room), [room]);

  useEffect(() => {
    const remembered = recall();
    const { name = remembered.name, microphone = remembered.microphone, camera = remembered.camera } = wishes;
    const options = { channelId: channelIn(location.pathname) ?? "lobby", username: asUsername(name), microphone, camera };
    if (!wishes.join || !options.username || !isChannel(options.channelId)) return;
    void isKiosk(fetch).then((yes) => yes && room.getState().phase === "idle" && join(options));
    // Once, when the page is opened.
  }, []);

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

  const bring = (given: string) => {
    setToken(given);
    room.joinAgain(given);
  };

  if (state.phase === "idle") return <JoinForm channelId={channelId} wishes={wishes} onJoin={join} />;
  if (state.phase === "ended" && state.ended) {
    const { ended } = state;
    if (ended.code === UNAUTHENTICATED) return <TokenForm isWrong={token !== undefined} onToken={bring} onBack={() => room.leave()} />;
    return <Ended ended={ended} onAgain={() => room.joinAgain()} onBack={() => room.leave()} />;
  }
  return <VideoCall room={room} state={state} onLeave={() => room.leave()} />;
}
