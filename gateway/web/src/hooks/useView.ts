import { useEffect, useRef, useState, type RefObject } from "react";

import type { Source } from "../protocol";
import type { TileSize } from "../tiles";
import type { Views } from "../views";

/**
 * Note in `views` how large the page shows a video, and whether it shows it at all. Returns the tile's `ref`.
 *
 * `size` is in CSS pixels. Without one, nothing is noted.
 */
export function useView(
  views: Views,
  userId: string,
  source: Source,
  size: TileSize | undefined,
  isPinned: boolean,
): RefObject<HTMLLIElement | null> {
  const element = useRef<HTMLLIElement>(null);
  const isShown = useIsShown(element);
  const { width, height } = size ?? { width: 0, height: 0 };
  const isKnown = size !== undefined;
  useEffect(() => {
    if (!isKnown) return;
    const scale = window.devicePixelRatio;
    views.set(userId, source, isShown ? { width: width * scale, height: height * scale, isPinned } : "hidden");
  }, [views, userId, source, isKnown, isShown, width, height, isPinned]);
  useEffect(() => (isKnown ? () => views.remove(userId, source) : undefined), [views, userId, source, isKnown]);
  return element;
}

/** False while the page is in the background, and while the tile is scrolled away. */
function useIsShown(element: RefObject<HTMLLIElement | null>): boolean {
  const [isInView, setInView] = useState(true);
  const [isPageShown, setPageShown] = useState(!document.hidden);
  const [isPoppedOut, setPoppedOut] = useState(false);

  useEffect(() => {
    const tile = element.current;
    if (!tile) return undefined;
    const observer = new IntersectionObserver((entries) => setInView(entries.at(-1)?.isIntersecting ?? true));
    observer.observe(tile);
    const entered = () => setPoppedOut(true);
    const left = () => setPoppedOut(false);
    const turned = () => setPageShown(!document.hidden);
    // Chromium's picture in picture stays on the screen, whatever the page does.
    tile.addEventListener("enterpictureinpicture", entered);
    tile.addEventListener("leavepictureinpicture", left);
    document.addEventListener("visibilitychange", turned);
    return () => {
      observer.disconnect();
      tile.removeEventListener("enterpictureinpicture", entered);
      tile.removeEventListener("leavepictureinpicture", left);
      document.removeEventListener("visibilitychange", turned);
    };
  }, [element]);

  return isPoppedOut || (isInView && isPageShown);
}
