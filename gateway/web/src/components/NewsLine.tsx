import { useEffect, useState } from "react";

import type { News } from "../room";

const SHOWN_MS = 4_000;

/** Says who came and who went, to be seen for a moment and to be read out. */
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
          <bdi>{shown.username}</bdi> {shown.what}
        </span>
      )}
    </p>
  );
}
