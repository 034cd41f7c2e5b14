/** The join form's last entries, kept in this browser. If the browser forbids storage, they are forgotten. */
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

export function remember(entry: Remembered): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(entry));
  } catch {
    // Private windows and strict settings forbid storage. The person then types the name again next time.
  }
}
