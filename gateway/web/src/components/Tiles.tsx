import { useLayoutEffect, useRef, useState, type CSSProperties } from "react";

import { tileSize, type TileContent, type TileSize } from "../tiles";
import type { Views } from "../views";
import { Tile } from "./Tile";

const GAP = 10;

/** The tiles of all participants, as large as fits. Shared screens take most of the space. */
export function Tiles({ tiles, views }: { tiles: readonly TileContent[]; views: Views }) {
  const screens = tiles.filter(({ kind }) => kind === "screen");
  const people = tiles.filter(({ kind }) => kind === "camera");
  return (
    <div className={screens.length > 0 ? "stage with-screen" : "stage"}>
      {screens.length > 0 && <Grid tiles={screens} label="Shared screens" views={views} />}
      <Grid tiles={people} label="People" views={views} />
    </div>
  );
}

interface GridProps {
  tiles: readonly TileContent[];
  label: string;
  views: Views;
}

function Grid({ tiles, label, views }: GridProps) {
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
        <Tile key={tile.key} tile={tile} size={space && size} views={views} />
      ))}
    </ul>
  );
}
