import { useLayoutEffect, useRef, useState, type CSSProperties } from "react";

import { tileSize, type TileContent, type TileSize } from "../tiles";
import { Tile } from "./Tile";

const GAP = 10;

/** The tiles of all participants, as large as fits. Shared screens take most of the space. */
export function Tiles({ tiles }: { tiles: readonly TileContent[] }) {
  const screens = tiles.filter(({ kind }) => kind === "screen");
  const people = tiles.filter(({ kind }) => kind === "camera");
  return (
    <div className={screens.length > 0 ? "stage with-screen" : "stage"}>
      {screens.length > 0 && <Grid tiles={screens} label="Shared screens" />}
      <Grid tiles={people} label="People" />
    </div>
  );
}

function Grid({ tiles, label }: { tiles: readonly TileContent[]; label: string }) {
  const element = useRef<HTMLUListElement>(null);
  const [space, setSpace] = useState<TileSize>({ width: 0, height: 0 });

  useLayoutEffect(() => {
    const grid = element.current;
    if (!grid) return undefined;
    const observer = new ResizeObserver(() => setSpace({ width: grid.clientWidth, height: grid.clientHeight }));
    observer.observe(grid);
    return () => observer.disconnect();
  }, []);

  const { width, height } = tileSize(tiles.length, space, GAP);
  const style = { "--tile-width": `${width}px`, "--tile-height": `${height}px` } as CSSProperties;
  return (
    <ul ref={element} className="grid" style={style} aria-label={label}>
      {tiles.map((tile) => (
        <Tile key={tile.key} tile={tile} />
      ))}
    </ul>
  );
}
