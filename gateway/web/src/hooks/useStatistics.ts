import { useEffect, useState } from "react";

import type { Room } from "../room";
import { statisticsOf, type Sample, type Statistics } from "../statistics";

const EVERY_MS = 1_000;

/** The statistics of the call, once a second while the component is shown. Undefined for the first second. */
export function useStatistics(room: Room): Statistics | undefined {
  const [statistics, setStatistics] = useState<Statistics>();
  useEffect(() => {
    let before: Sample | undefined;
    let timer: ReturnType<typeof setTimeout>;
    let isShown = true;
    // A slow browser or gateway must not have two questions at once.
    const look = async () => {
      const now = await room.sample();
      if (!isShown) return;
      if (before) setStatistics(statisticsOf(before, now));
      before = now;
      timer = setTimeout(() => void look(), EVERY_MS);
    };
    void look();
    return () => {
      isShown = false;
      clearTimeout(timer);
    };
  }, [room]);
  return statistics;
}
