/** The one room of this page. The hook leaves it when the page goes away and renders its changes. */
import { Device } from "mediasoup-client";
import { useEffect, useState, useSyncExternalStore } from "react";

import { gatewayUrl } from "../address";
import { Room, type RoomState } from "../room";

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
    const online = () => room.networkIsBack();
    window.addEventListener("pagehide", hidden);
    window.addEventListener("pageshow", shown);
    window.addEventListener("online", online);
    return () => {
      window.removeEventListener("pagehide", hidden);
      window.removeEventListener("pageshow", shown);
      window.removeEventListener("online", online);
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
