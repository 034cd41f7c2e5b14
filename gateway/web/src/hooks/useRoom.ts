/** The room of this page: created once, left when the page goes, shown as it changes. */
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
    // Browsers may keep a page that was left and show it again as it was: then it joins again.
    const came = (event: PageTransitionEvent) => event.persisted && room.comeBack();
    const left = () => room.abandon();
    const online = () => room.networkIsBack();
    window.addEventListener("pagehide", left);
    window.addEventListener("pageshow", came);
    window.addEventListener("online", online);
    return () => {
      window.removeEventListener("pagehide", left);
      window.removeEventListener("pageshow", came);
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
