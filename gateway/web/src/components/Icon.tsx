/** The page's icons. They are outlines on a 24 × 24 grid and take the colour of the text around them. */
const PATHS = {
  microphone: "M12 15a3.5 3.5 0 0 0 3.5-3.5v-5a3.5 3.5 0 0 0-7 0v5A3.5 3.5 0 0 0 12 15ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3.5",
  muted:
    "M15.5 10.5v-4a3.5 3.5 0 0 0-6.8-1.2M8.5 8.5v3a3.5 3.5 0 0 0 5.3 3M5.5 11.5a6.5 6.5 0 0 0 10.4 5.2M18.5 11.5a6.4 6.4 0 0 1-.5 2.5M12 18v3.5M3.5 3.5l17 17",
  deafened:
    "M4.5 15v-3a7.5 7.5 0 0 1 12.6-5.5M19.1 9.5c.3.8.4 1.6.4 2.5v4M4.5 14.5h2a1 1 0 0 1 1 1v3a1 1 0 0 1-1 1h-1a1 1 0 0 1-1-1ZM16.5 16.5v-1a1 1 0 0 1 1-1h2M3.5 3.5l17 17",
  camera: "M4 7h9.5a1.5 1.5 0 0 1 1.5 1.5v7a1.5 1.5 0 0 1-1.5 1.5H4a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 4 7ZM15 10.5l6-3v9l-6-3",
  cameraOff:
    "M9 7h4.5A1.5 1.5 0 0 1 15 8.5V13M15 15.5a1.5 1.5 0 0 1-1.5 1.5H4a1.5 1.5 0 0 1-1.5-1.5v-7A1.5 1.5 0 0 1 4 7h.5M15 10.5l6-3v9l-4-2M3.5 3.5l17 17",
  screen: "M4 5h16a1.5 1.5 0 0 1 1.5 1.5v9A1.5 1.5 0 0 1 20 17H4a1.5 1.5 0 0 1-1.5-1.5v-9A1.5 1.5 0 0 1 4 5ZM8.5 20.5h7M12 13.5v-5M9.5 10.5 12 8l2.5 2.5",
  leave: "M10 4.5H6.5A1.5 1.5 0 0 0 5 6v12a1.5 1.5 0 0 0 1.5 1.5H10M15.5 8l4 4-4 4M19.5 12H10",
  link: "M10 14a4 4 0 0 0 5.7 0l3.6-3.6a4 4 0 0 0-5.7-5.7L12.3 6M14 10a4 4 0 0 0-5.7 0l-3.6 3.6a4 4 0 0 0 5.7 5.7l1.3-1.3",
  check: "M4.5 12.5l5 5 10-11",
  sound: "M3.5 9.5v5h3.5l4.5 4v-13l-4.5 4ZM15 9a4.2 4.2 0 0 1 0 6M17.5 6a8 8 0 0 1 0 12",
  statistics: "M4 20h16M6.5 16v-4M12 16V6M17.5 16V9.5",
  pin: "M9 3.5h6M10 3.5v6l-3 4h10l-3-4v-6M12 13.5v7",
  close: "M6 6l12 12M18 6 6 18",
  more: "M4.5 12a.75.75 0 0 0 1.5 0 .75.75 0 0 0-1.5 0M11.25 12a.75.75 0 0 0 1.5 0 .75.75 0 0 0-1.5 0M18 12a.75.75 0 0 0 1.5 0 .75.75 0 0 0-1.5 0",
  lock: "M6.5 11h11v9h-11ZM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
