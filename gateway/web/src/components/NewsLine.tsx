import { useEffect, useState } from "react";

import type { News } from "../room";

const SHOWN_MS = 4_000;

/** Shows for a moment who joined or left. Screen readers read it out. */
export function NewsLine({ news }: { news: News | undefined }) {
  const [shown, setShown] = useState<News>();
  useEffect(() => {
    setShown(news);
    const timer = setTimeout(() => setShown(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [news]);
  return (
    <p className="news" aria-live="polite" data-testid="news">
      {shown && (
        <span key={shown.serial}>
          <bdi>{shown.username}</bdi> {shown.event}
        </span>
      )}
    </p>
  );
}
