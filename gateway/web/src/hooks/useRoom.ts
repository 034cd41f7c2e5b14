/** The one room of this page. The hook leaves it when the page goes away and renders its changes. */
import { Device } from "mediasoup-client";
import { useEffect, useState, useSyncExternalStore } from "react";

import { gatewayUrl } from "../address";
import { watchNetwork, type NetworkInformation } from "../network";
import { Room, type RoomState } from "../room";

declare global {
  interface Navigator {
    /** Firefox and Safari do not have it. */
    readonly connection?: NetworkInformation;
  }
}

export interface UseRoom {
  readonly room: Room;
  readonly state: RoomState;
}

export function useRoom(): UseRoom {
  const [room] = useState(createRoom);
  const state = useSyncExternalStore(room.subscribe, room.getState);

  useEffect(() => {
    // A browser may keep the page in its back/forward cache and show it again as it was. Then it rejoins.
    const shown = (event: PageTransitionEvent) => event.persisted && room.comeBack();
    const hidden = () => room.abandon();
    const stopWatching = watchNetwork(
      { changed: () => room.networkChanged(), doubtful: () => room.doubtNetwork() },
      { window, document, connection: navigator.connection, now: Date.now },
    );
    window.addEventListener("pagehide", hidden);
    window.addEventListener("pageshow", shown);
    return () => {
      window.removeEventListener("pagehide", hidden);
      window.removeEventListener("pageshow", shown);
      stopWatching();
      room.leave();
    };
  }, [room]);

  return { room, state };
}

function createRoom(): Room {
  return new Room({
    url: gatewayUrl(location),
    browser: navigator,
    createDevice: () => Device.factory(),
    now: () => performance.now(),
    random: Math.random,
  });
}
