import { describe, expect, it } from "vitest";

import type { RoomState } from "../src/room";
import { arranged, tileSize, tilesOf } from "../src/tiles";
import { fakeTrack, FakeStream } from "./browser";
import { participant } from "./fakes";

function state(change: Partial<RoomState["presence"]> = {}, local: Partial<RoomState["local"]> = {}): RoomState {
  const off = { status: "off" } as const;
  return {
    phase: "joined",
    channelId: "lobby",
    username: "Me",
    presence: {
      ...{ self: "me", participants: [participant("me")], media: [], speakers: [] },
      ...{ flowing: true, reconnecting: false, stalled: [], qualities: new Map(), channel: { locked: false }, moderates: false, ...change },
    },
    local: { microphone: off, camera: off, screen: off, ...local },
  };
}

const described = (room: RoomState) => tilesOf(room).map(({ userId, kind }) => `${userId} ${kind}`);

describe("the tiles", () => {
  it("show everybody in the list, the person's own tile last", () => {
    const participants = [participant("ada"), participant("me"), participant("bea")];
    expect(described(state({ participants }))).toEqual(["ada camera", "bea camera", "me camera"]);
  });

  it("show shared screens before people", () => {
    const participants = [participant("ada"), participant("bea", ["screen", "camera"]), participant("me")];
    const tiles = ["bea screen", "ada camera", "bea camera", "me camera"];
    expect(described(state({ participants }))).toEqual(tiles);
  });

  it("name what a moderator can mute or allow", () => {
    const ada = { ...participant("ada", ["camera", "screen"]), mutedSources: ["microphone" as const] };
    const shown = tilesOf(state({ participants: [ada, participant("bea"), participant("me", ["camera"])] }));
    const [microphone, camera] = [{ source: "microphone", isMuted: true }, { source: "camera", isMuted: false }];
    expect(shown.map(({ moderated }) => moderated)).toEqual([[{ source: "screen", isMuted: false }], [microphone, camera], [], []]);
  });

  it("show the person's own screen while it is shared", () => {
    const screen = { status: "on", stream: new FakeStream([fakeTrack("video")]) as unknown as MediaStream } as const;
    expect(described(state({}, { screen }))).toEqual(["me screen", "me camera"]);
  });

  it("show video only of participants who send it, by the list", () => {
    const track = fakeTrack("video");
    const ada = participant("ada", ["camera"]);
    const media = [{ userId: "ada", producerId: "ada-camera", kind: "video", source: "camera", track, isStarved: false }] as const;
    expect(tilesOf(state({ participants: [ada], media }))[0]?.track).toBe(track);
    const paused = { ...ada, producers: ada.producers.map((producer) => ({ ...producer, paused: true })) };
    expect(tilesOf(state({ participants: [paused], media }))[0]?.track).toBeUndefined();
  });

  it("mark a participant without sound as muted", () => {
    const talking = participant("ada", ["microphone"]);
    const paused = participant("bea", ["microphone"]);
    for (const producer of paused.producers) producer.paused = true;
    const participants = [talking, paused, participant("cleo")];
    expect(tilesOf(state({ participants })).map(({ isMuted }) => isMuted)).toEqual([false, true, true, true]);
  });

  it("mark a participant whom a moderator deafened, also the person itself", () => {
    const deafened = (userId: string) => ({ ...participant(userId, ["microphone"]), deafened: true });
    const marks = (room: RoomState) => tilesOf(room).map(({ isDeafened, isMuted }) => [isDeafened, isMuted]);
    const local = { microphone: { status: "on" } } as const;
    expect(marks(state({ participants: [deafened("ada"), participant("me", ["microphone"])] }, local))).toEqual([[true, false], [false, false]]);
    expect(marks(state({ participants: [participant("ada"), deafened("me")] }, local))).toEqual([[false, true], [true, false]]);
  });

  it("show no video to a person whom a moderator deafened, because it would stand still", () => {
    const ada = participant("ada", ["camera"]);
    const media = [{ userId: "ada", producerId: "ada-camera", kind: "video", source: "camera", track: fakeTrack("video"), isStarved: true }] as const;
    const [tile] = tilesOf(state({ participants: [ada, { ...participant("me"), deafened: true }], media }));
    expect([tile?.track, tile?.isStarved]).toEqual([undefined, false]);
  });

  it("mark a participant who speaks", () => {
    const participants = [participant("ada", ["microphone"]), participant("bea", ["microphone"])];
    const local = { microphone: { status: "on" } } as const;
    const tiles = tilesOf(state({ participants, speakers: ["bea", "me"] }, local));
    expect(tiles.map(({ isSpeaking }) => isSpeaking)).toEqual([false, true, true]);
  });

  it("do not mark a muted participant as speaking, even if the speaker list does", () => {
    const bea = participant("bea", ["microphone"]);
    for (const producer of bea.producers) producer.paused = true;
    const tiles = tilesOf(state({ participants: [bea], speakers: ["bea", "me"] }));
    expect(tiles.map(({ isSpeaking }) => isSpeaking)).toEqual([false, false]);
  });

  it("say how good each connection is, and mark a video that the network does not carry", () => {
    const ada = participant("ada", ["camera", "screen"]);
    const producer = { userId: "ada", producerId: "ada-camera", kind: "video", source: "camera" } as const;
    const media = [{ ...producer, track: fakeTrack("video"), isStarved: true }];
    const qualities = new Map([["ada", "poor"], ["me", "excellent"]] as const);
    const tiles = tilesOf(state({ participants: [ada, participant("me")], media, qualities }));
    expect(tiles.map(({ quality }) => quality)).toEqual([undefined, "poor", "excellent"]);
    expect(tiles.map(({ isStarved }) => isStarved)).toEqual([false, true, false]);
    for (const each of ada.producers) each.paused = true;
    const paused = tilesOf(state({ participants: [ada, participant("me")], media, qualities }));
    expect(paused.map(({ isStarved }) => isStarved)).toEqual([false, false]);
  });

  it("show an excellent connection until the gateway says something else", () => {
    const participants = [participant("ada", ["screen"]), participant("me")];
    const qualities = (room: RoomState) => tilesOf(room).map(({ quality }) => quality);
    expect(qualities(state({ participants }))).toEqual([undefined, "excellent", "excellent"]);
    expect(qualities(state({ self: "", participants: [] }))).toEqual([undefined]);
  });

  it("have different keys, whatever the user ids are", () => {
    const keys = tilesOf(state({ participants: [participant("self"), participant("me")] })).map(({ key }) => key);
    expect(new Set(keys).size).toBe(2);
  });
});

describe("the arrangement", () => {
  const participants = [participant("ada", ["screen", "camera"]), participant("bea"), participant("me")];
  const tiles = tilesOf(state({ participants }));
  const keys = (pinned?: string) => {
    const { stage, others } = arranged(tiles, pinned);
    return [stage.map(({ key }) => key), others.map(({ key }) => key)];
  };

  it("gives shared screens the stage, and the others a place beside it", () => {
    expect(keys()).toEqual([["ada screen"], ["ada camera", "bea camera", "@self camera"]]);
  });

  it("gives the stage to the pinned tile alone", () => {
    expect(keys("bea camera")).toEqual([["bea camera"], ["ada screen", "ada camera", "@self camera"]]);
  });

  it("is as before once the pinned tile is gone", () => {
    expect(keys("cleo camera")).toEqual(keys());
  });
});

describe("a tile's size", () => {
  it("fills a wide space with one 16:9 tile", () => {
    expect(tileSize(1, { width: 1600, height: 900 }, 10)).toEqual({ width: 1600, height: 900 });
    expect(tileSize(1, { width: 2000, height: 900 }, 10)).toEqual({ width: 1600, height: 900 });
  });

  it("puts two side by side in a wide space, and one above the other in an upright one", () => {
    expect(tileSize(2, { width: 1210, height: 500 }, 10)).toEqual({ width: 600, height: 450 });
    expect(tileSize(2, { width: 390, height: 810 }, 10)).toEqual({ width: 390, height: 400 });
  });

  it("lets all tiles fit without scrolling while they are large enough", () => {
    for (let count = 1; count <= 20; count += 1) {
      const { width, height } = tileSize(count, { width: 1200, height: 700 }, 10);
      const columns = Math.floor((1200 + 10) / (width + 10));
      expect(Math.ceil(count / columns) * (height + 10) - 10).toBeLessThanOrEqual(700);
    }
  });

  it("is never too small to recognise somebody", () => {
    expect(tileSize(300, { width: 390, height: 600 }, 10)).toEqual({ width: 190, height: 106 });
    expect(tileSize(3, { width: 0, height: 0 }, 10)).toEqual({ width: 140, height: 78 });
  });
});
