/** What the join form remembers in this browser. A browser that forbids storage just forgets. */
export interface Remembered {
  readonly name: string;
  readonly microphone: boolean;
  readonly camera: boolean;
}

const KEY = "trio-sfu";
const NOTHING: Remembered = { name: "", microphone: true, camera: true };

export function recall(): Remembered {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const { name, microphone, camera } = stored as Partial<Record<keyof Remembered, unknown>>;
    return {
      name: typeof name === "string" ? name : NOTHING.name,
      microphone: typeof microphone === "boolean" ? microphone : NOTHING.microphone,
      camera: typeof camera === "boolean" ? camera : NOTHING.camera,
    };
  } catch {
    return NOTHING;
  }
}

export function remember(what: Remembered): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(what));
  } catch {
    // Private windows and strict settings refuse: then the name is typed again next time.
  }
}
