import { useEffect, useRef, useState, type ReactNode } from "react";

import { channelIn, isKiosk, linkOptionsIn, pathOf } from "../address";
import { showToTests } from "../debug";
import { listenForToken } from "../embedding";
import { useDirectory } from "../hooks/useDirectory";
import { useEntries, type FormOptions } from "../hooks/useEntries";
import { useRoom } from "../hooks/useRoom";
import { remember } from "../remembered";
import { isInCall, shownChannels } from "../sidebar";
import { EndedPage } from "./EndedPage";
import { JoinForm } from "./JoinForm";
import { Sidebar } from "./Sidebar";
import { TokenForm } from "./TokenForm";
import { VideoCall } from "./VideoCall";

const UNAUTHENTICATED = 4401;

export function App() {
  const { room, state } = useRoom();
  const [linkOptions] = useState(() => linkOptionsIn(location.search));
  const [channelId, setChannelId] = useState(() => channelIn(location.pathname));
  const [token, setToken] = useState<string>();
  const { entries, change, complete } = useEntries(channelId, linkOptions);
  const directory = useDirectory(room, token);
  const nameField = useRef<HTMLInputElement>(null);

  const goTo = (name: string) => {
    const path = pathOf(name);
    if (location.pathname !== path) history.pushState(null, "", path + location.search);
    setChannelId(name);
  };
  const join = (options: FormOptions) => {
    goTo(options.channelId);
    room.join({ ...options, userId: linkOptions.userId, token });
  };
  const submit = (name = entries.channelId) => {
    const options = complete(name);
    if (!options) return nameField.current?.focus();
    remember({ name: options.username, microphone: options.microphone, camera: options.camera });
    join(options);
  };

  /** Join this channel at once: from the form as soon as there is a name, from a call by leaving it. */
  const pick = (name: string) => {
    if (state.phase === "idle") {
      change({ channelId: name });
      submit(name);
    } else if (!isInCall(state) || name !== state.channelId) {
      goTo(name);
      room.move(name);
    }
  };

  useEffect(() => showToTests(room), [room]);

  useEffect(() => {
    const options = complete();
    if (!linkOptions.join || !options) return;
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

  const { channels, isCurrent } = directory;
  return (
    <div className="page">
      {channels && <Sidebar shown={shownChannels(channels, state)} isCurrent={isCurrent} onPick={pick} />}
      <div className="content">{content()}</div>
    </div>
  );

  function content(): ReactNode {
    const { phase, ended } = state;
    const back = () => room.leave();
    if (phase === "idle") return <JoinForm entries={entries} nameField={nameField} onChange={change} onJoin={() => submit()} />;
    if (phase !== "ended" || !ended) return <VideoCall room={room} state={state} onLeave={back} />;
    if (ended.code !== UNAUTHENTICATED) return <EndedPage ended={ended} onAgain={() => room.joinAgain()} onBack={back} />;
    return <TokenForm isWrong={token !== undefined} reason={ended.reason} onToken={joinWithToken} onBack={back} />;
  }
}
