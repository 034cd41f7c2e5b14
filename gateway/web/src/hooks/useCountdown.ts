import { useEffect, useState } from "react";

/** Whole seconds left until `until`, a time of `performance.now()`. It is 0 afterwards, and without an `until`. */
export function useCountdown(until: number | undefined): number {
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    if (until === undefined) return undefined;
    setNow(performance.now());
    const timer = setInterval(() => setNow(performance.now()), 250);
    return () => clearInterval(timer);
  }, [until]);
  return until === undefined ? 0 : Math.max(0, Math.ceil((until - now) / 1000));
}
