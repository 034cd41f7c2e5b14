/** The one directory of this page. The hook follows it while the page is there, and renders its changes. */
import { useEffect, useState, useSyncExternalStore } from "react";

import { gatewayUrl } from "../address";
import { Directory, type DirectoryState } from "../directory";
import { watchNetwork } from "../network";
import type { Room } from "../room";
import { needsConnection } from "../sidebar";

/** `token` is what the room joins with. */
export function useDirectory(room: Room, token: string | undefined): DirectoryState {
  const [directory] = useState(createDirectory);
  const state = useSyncExternalStore(directory.subscribe, directory.getState);

  useEffect(() => {
    // A page with an open WebSocket does not get into every browser's back/forward cache.
    const shown = () => directory.start();
    const hidden = () => directory.stop();
    const check = () => directory.check();
    const stopWatching = watchNetwork(
      { changed: check, doubtful: check },
      { window, document, connection: navigator.connection, now: Date.now },
    );
    const stopHolding = room.subscribe(() => directory.hold(needsConnection(room.getState())));
    window.addEventListener("pagehide", hidden);
    window.addEventListener("pageshow", shown);
    directory.start();
    return () => {
      window.removeEventListener("pagehide", hidden);
      window.removeEventListener("pageshow", shown);
      stopHolding();
      stopWatching();
      directory.stop();
    };
  }, [directory, room]);

  useEffect(() => directory.useToken(token), [directory, token]);
  return state;
}

function createDirectory(): Directory {
  return new Directory({ url: gatewayUrl(location), now: Date.now, random: Math.random });
}
