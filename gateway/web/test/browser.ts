/** A browser's devices and permissions, without a person to ask. */
import { FakeMediaStreamTrack } from "fake-mediastreamtrack";

type Kind = "audio" | "video";

export class FakeStream {
  constructor(readonly tracks: MediaStreamTrack[]) {}
  getTracks = () => this.tracks;
  getVideoTracks = () => this.tracks.filter(({ kind }) => kind === "video");
}

export function fakeTrack(kind: Kind): MediaStreamTrack {
  return new FakeMediaStreamTrack({ kind }) as unknown as MediaStreamTrack;
}

export function domError(name: string): Error {
  return Object.assign(new Error(name), { name });
}

/** Records all tracks that it gave out in `tracks`, and all calls in `asked`. */
export class FakeBrowser {
  readonly tracks: MediaStreamTrack[] = [];
  readonly asked: string[] = [];
  /** Names of errors to throw, by "audio", "video" or "screen". */
  readonly refusals = new Map<string, string>();
  readonly permissionStates = new Map<string, PermissionState>();
  /** While this promise is pending, no call is answered. */
  held: Promise<void> | undefined;

  readonly mediaDevices = {
    getUserMedia: (constraints: MediaStreamConstraints) => {
      const kinds = (["audio", "video"] as const).filter((kind) => constraints[kind]);
      return this.#give(kinds.join("+"), kinds);
    },
    getDisplayMedia: () => this.#give("screen", ["video", "audio"], ["screen"]),
  } as unknown as MediaDevices;

  readonly permissions = {
    query: async ({ name }: { name: string }) => ({ state: this.permissionStates.get(name) ?? "prompt" }),
  } as unknown as Permissions;

  async #give(question: string, kinds: readonly Kind[], refusable: readonly string[] = kinds): Promise<MediaStream> {
    this.asked.push(question);
    await this.held;
    const refusal = refusable.map((kind) => this.refusals.get(kind)).find(Boolean);
    if (refusal) throw domError(refusal);
    const tracks = kinds.map(fakeTrack);
    this.tracks.push(...tracks);
    return new FakeStream(tracks) as unknown as MediaStream;
  }
}
