import { useLayoutEffect, useRef, useState, type CSSProperties } from "react";

import { arranged, tileSize, type TileContent, type TileSize } from "../tiles";
import type { Moderation } from "../moderation";
import type { Views } from "../views";
import { Tile } from "./Tile";

const GAP = 10;

interface TilesProps {
  tiles: readonly TileContent[];
  views: Views;
  /** Undefined unless this person is a moderator. */
  moderation: Moderation | undefined;
}

/** The tiles of all participants, as large as fits. The pinned tile or the shared screens take most of the space. */
export function Tiles({ tiles, views, moderation }: TilesProps) {
  const [pinnedKey, setPinnedKey] = useState<string>();
  const [movedKey, setMovedKey] = useState<string>();
  const { stage, others } = arranged(tiles, pinnedKey);
  const isPinned = stage.some(({ key }) => key === pinnedKey);
  const onPin = (key: string) => {
    setPinnedKey(key === pinnedKey ? undefined : key);
    setMovedKey(key);
  };
  const shared = { views, moderation, pinnedKey, movedKey, onPin };
  return (
    <div className={stage.length > 0 ? "stage split" : "stage"}>
      {stage.length > 0 && <Grid tiles={stage} label={isPinned ? "Pinned" : "Shared screens"} {...shared} />}
      <Grid tiles={others} label={isPinned ? "Others" : "People"} {...shared} />
    </div>
  );
}

interface GridProps {
  tiles: readonly TileContent[];
  label: string;
  views: Views;
  moderation: Moderation | undefined;
  pinnedKey: string | undefined;
  /** The tile that the person has pinned or unpinned last. */
  movedKey: string | undefined;
  onPin(key: string): void;
}

function Grid({ tiles, label, views, moderation, pinnedKey, movedKey, onPin }: GridProps) {
  const element = useRef<HTMLUListElement>(null);
  const [space, setSpace] = useState<TileSize>();

  useLayoutEffect(() => {
    const grid = element.current;
    if (!grid) return undefined;
    const observer = new ResizeObserver(() => setSpace({ width: grid.clientWidth, height: grid.clientHeight }));
    observer.observe(grid);
    return () => observer.disconnect();
  }, []);

  const size = tileSize(tiles.length, space ?? { width: 0, height: 0 }, GAP);
  const style = { "--tile-width": `${size.width}px`, "--tile-height": `${size.height}px` } as CSSProperties;
  return (
    <ul ref={element} className="grid" style={style} aria-label={label}>
      {tiles.map((tile) => (
        <Tile
          key={tile.key}
          tile={tile}
          size={space && size}
          views={views}
          moderation={moderation}
          isPinned={tile.key === pinnedKey}
          takesFocus={tile.key === movedKey}
          onPin={() => onPin(tile.key)}
        />
      ))}
    </ul>
  );
}
