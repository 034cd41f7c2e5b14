import { useCallback, useEffect, useState } from "react";

import { channelIn, isKiosk, linkOptionsIn, pathOf } from "../address";
import { showToTests } from "../debug";
import { listenForToken } from "../embedding";
import { useRoom } from "../hooks/useRoom";
import { asUsername, isChannel } from "../names";
import { recall } from "../remembered";
import { EndedPage } from "./EndedPage";
import { JoinForm, type FormOptions } from "./JoinForm";
import { TokenForm } from "./TokenForm";
import { VideoCall } from "./VideoCall";

const UNAUTHENTICATED = 4401;

export function App() {
  const { room, state } = useRoom();
  const [linkOptions] = useState(() => linkOptionsIn(location.search));
  const [channelId, setChannelId] = useState(() => channelIn(location.pathname));
  const [token, setToken] = useState<string>();

  const join = useCallback(
    (options: FormOptions) => {
      const path = pathOf(options.channelId);
      if (location.pathname !== path) history.pushState(null, "", path + location.search);
      setChannelId(options.channelId);
      room.join({ ...options, userId: linkOptions.userId, token });
    },
    [room, linkOptions, token],
  );

  useEffect(() => showToTests(room), [room]);

  useEffect(() => {
    const remembered = recall();
    const { name = remembered.name, microphone = remembered.microphone, camera = remembered.camera } = linkOptions;
    const options = { channelId: channelIn(location.pathname) ?? "lobby", username: asUsername(name), microphone, camera };
    if (!linkOptions.join || !options.username || !isChannel(options.channelId)) return;
    void isKiosk(fetch).then((yes) => yes && room.getState().phase === "idle" && join(options));
  }, []); // only when the page opens

  useEffect(() => {
    const navigated = () => {
      room.leave();
      setChannelId(channelIn(location.pathname));
    };
    window.addEventListener("popstate", navigated);
    return () => window.removeEventListener("popstate", navigated);
  }, [room]);

  useEffect(() => {
    document.title = state.phase === "idle" ? "trio-sfu" : `${state.channelId} · trio-sfu`;
  }, [state.phase, state.channelId]);

  const joinWithToken = (entered: string) => {
    setToken(entered);
    room.joinAgain(entered);
  };

  useEffect(
    () =>
      listenForToken(window, (given) => {
        setToken(given);
        room.useToken(given);
      }),
    [room],
  );

  if (state.phase === "idle") return <JoinForm channelId={channelId} linkOptions={linkOptions} onJoin={join} />;
  if (state.phase === "ended" && state.ended) {
    const { ended } = state;
    if (ended.code === UNAUTHENTICATED) return <TokenForm isWrong={token !== undefined} reason={ended.reason} onToken={joinWithToken} onBack={() => room.leave()} />;
    return <EndedPage ended={ended} onAgain={() => room.joinAgain()} onBack={() => room.leave()} />;
  }
  return <VideoCall room={room} state={state} onLeave={() => room.leave()} />;
}
