import type { ConnectionQuality } from "../protocol";

/** The bars of a mark differ in number, so nobody has to tell colours apart. A lost connection is crossed out. */
const MARKS: Readonly<Record<ConnectionQuality, { bars: number; words: string }>> = {
  excellent: { bars: 3, words: "Connection: excellent" },
  good: { bars: 2, words: "Connection: good" },
  poor: { bars: 1, words: "Connection: poor" },
  lost: { bars: 0, words: "Connection: lost" },
};
const BARS = ["M5 19v-4", "M12 19v-8.5", "M19 19V6"];

/** How good a person's connection is. */
export function QualityMark({ quality }: { quality: ConnectionQuality }) {
  const { bars, words } = MARKS[quality];
  return (
    <span className="quality" title={words} data-testid="quality" data-quality={quality}>
      <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        {BARS.map((path, index) => (
          <path key={path} d={path} className={index < bars ? undefined : "empty"} />
        ))}
        {bars === 0 && <path d="M4 5 20 20" />}
      </svg>
      <span className="hidden">{words}</span>
    </span>
  );
}
