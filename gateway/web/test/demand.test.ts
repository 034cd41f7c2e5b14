import { describe, expect, it } from "vitest";

import { Demand, layersFor, topLayers } from "../src/demand";

const TOP = { spatial: 2, temporal: 2 };
const LARGE = { width: 1200, height: 700, isPinned: false };
const SMALL = { width: 240, height: 135, isPinned: false };
const low = { layers: { spatial: 0, temporal: 2 } };

describe("the layers for a tile", () => {
  const spatial = (width: number, height: number, of = 2) => layersFor({ width, height }, { spatial: of, temporal: 2 }).spatial;

  it("are the lowest that fill it, within a third", () => {
    expect(spatial(1280, 720)).toBe(2);
    expect(spatial(860, 480)).toBe(1);
    expect(spatial(600, 340)).toBe(1);
    expect(spatial(400, 225)).toBe(0);
    expect(spatial(240, 135)).toBe(0);
  });

  it("fill a tile that crops the picture's sides", () => {
    expect(spatial(300, 480)).toBe(1);
    expect(spatial(300, 600)).toBe(2);
  });

  it("fit a picture that is sent in two sizes, or in one", () => {
    expect(spatial(600, 340, 1)).toBe(1);
    expect(spatial(240, 135, 1)).toBe(0);
    expect(spatial(1280, 720, 0)).toBe(0);
    expect(spatial(140, 78, 0)).toBe(0);
  });

  it("have half of the frames if the tile is tiny", () => {
    expect(layersFor({ width: 140, height: 78 }, TOP)).toEqual({ spatial: 0, temporal: 1 });
    expect(layersFor({ width: 140, height: 78 }, { spatial: 0, temporal: 0 })).toEqual({ spatial: 0, temporal: 0 });
    expect(layersFor({ width: 0, height: 0 }, TOP)).toEqual({ spatial: 0, temporal: 1 });
  });
});

describe("the highest layers of a stream", () => {
  it("are those of its scalability mode", () => {
    const top = (scalabilityMode?: string) => topLayers({ codecs: [], encodings: [{ ...(scalabilityMode && { scalabilityMode }) }] });
    expect(top("L3T3")).toEqual(TOP);
    expect(top("L1T2")).toEqual({ spatial: 0, temporal: 1 });
    expect(top()).toEqual({ spatial: 0, temporal: 0 });
    expect(topLayers({ codecs: [] })).toEqual({ spatial: 0, temporal: 0 });
  });
});

describe("the demand for a video", () => {
  it("begins with the layers that fit its tile", () => {
    expect(new Demand(TOP).look(SMALL, 0)).toEqual({ ...low, paused: false });
    expect(new Demand(TOP).look(LARGE, 0)).toEqual({ paused: false });
  });

  it("is everything while no tile has said anything", () => {
    expect(new Demand(TOP).look(undefined, 0)).toEqual({ paused: false });
  });

  it("says nothing twice", () => {
    const demand = new Demand(TOP);
    demand.look(SMALL, 0);
    expect(demand.look(SMALL, 1_000)).toEqual({});
    expect(demand.dueAt).toBe(Infinity);
  });

  it("follows another size once it has lasted for a moment", () => {
    const demand = new Demand(TOP);
    demand.look(LARGE, 0);
    expect(demand.look(SMALL, 1_000)).toEqual({});
    expect(demand.dueAt).toBe(1_300);
    expect(demand.look(LARGE, 1_200)).toEqual({});
    expect(demand.dueAt).toBe(Infinity);
    demand.look(SMALL, 2_000);
    expect(demand.look(SMALL, 2_300)).toEqual(low);
  });

  it("pauses when its tile has been hidden for a moment, and resumes at once", () => {
    const demand = new Demand(TOP);
    demand.look(SMALL, 0);
    expect(demand.look("hidden", 1_000)).toEqual({});
    expect(demand.dueAt).toBe(3_000);
    expect(demand.look("hidden", 3_000)).toEqual({ paused: true });
    expect(demand.isPaused).toBe(true);
    expect(demand.dueAt).toBe(Infinity);
    expect(demand.look(SMALL, 9_000)).toEqual({ paused: false });
  });

  it("goes on if its tile is hidden for a shorter time", () => {
    const demand = new Demand(TOP);
    demand.look(SMALL, 0);
    demand.look("hidden", 1_000);
    expect(demand.look(SMALL, 2_900)).toEqual({});
    expect(demand.look("hidden", 3_100)).toEqual({});
    expect(demand.dueAt).toBe(5_100);
  });

  it("begins paused if its tile is hidden", () => {
    const demand = new Demand(TOP);
    expect(demand.look("hidden", 0)).toEqual({});
    expect(demand.isPaused).toBe(true);
    expect(demand.look(SMALL, 100)).toEqual({ ...low, paused: false });
  });

  it("waits for no size while its tile is hidden", () => {
    const demand = new Demand(TOP);
    demand.look(LARGE, 0);
    demand.look(SMALL, 1_000);
    demand.look("hidden", 1_100);
    expect(demand.dueAt).toBe(3_100);
    expect(demand.look("hidden", 3_100)).toEqual({ paused: true });
    expect(demand.dueAt).toBe(Infinity);
  });

  it("has the layers of the new size when its tile comes back with another", () => {
    const demand = new Demand(TOP);
    demand.look(LARGE, 0);
    demand.look("hidden", 1_000);
    demand.look("hidden", 3_000);
    expect(demand.look(SMALL, 9_000)).toEqual({ ...low, paused: false });
  });

  it("has priority while its tile is pinned", () => {
    const demand = new Demand(TOP);
    demand.look(LARGE, 0);
    expect(demand.look({ ...LARGE, isPinned: true }, 100)).toEqual({ priority: 255 });
    expect(demand.look("hidden", 200)).toEqual({});
    expect(demand.look({ ...LARGE, isPinned: true }, 300)).toEqual({});
    expect(demand.look(LARGE, 400)).toEqual({ priority: 1 });
  });
});
