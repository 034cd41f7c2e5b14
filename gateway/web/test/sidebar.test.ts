import { describe, expect, it } from "vitest";

import { Room, type RoomState } from "../src/room";
import { needsConnection, shownChannels } from "../src/sidebar";
import { createDevice, participant } from "./fakes";

const IDLE = new Room({ url: "", browser: {}, createDevice, now: () => 0, random: () => 0 }).getState();
const ANNA = participant("anna", ["microphone"], "Anna");
const BEN = participant("ben", [], "Ben");
const LISTED = [
  { channelId: "attic", participants: [participant("cleo", ["microphone"], "Cleo")] },
  { channelId: "kitchen", participants: [ANNA, BEN] },
];

function inCall(channelId: string, speakers: string[], phase: RoomState["phase"] = "joined"): RoomState {
  return { ...IDLE, phase, channelId, presence: { ...IDLE.presence, self: "ben", participants: [ANNA, BEN], speakers } };
}

describe("the sidebar", () => {
  it("names each channel and its people for screen readers", () => {
    const { channels, count, more } = shownChannels(LISTED, IDLE);
    expect(channels.map(({ label }) => label)).toEqual(["Join attic, 1 person: Cleo", "Join kitchen, 2 people: Anna, Ben"]);
    expect([count, more]).toEqual([3, 0]);
  });

  it("shows whose microphone is muted, or off", () => {
    const paused = { ...ANNA, producers: ANNA.producers.map((each) => ({ ...each, paused: true })) };
    const { channels } = shownChannels([{ channelId: "kitchen", participants: [ANNA, paused, BEN] }], IDLE);
    expect(channels[0]?.people.map(({ isMuted }) => isMuted)).toEqual([false, true, true]);
  });

  it("shows whom a moderator deafened", () => {
    const { channels } = shownChannels([{ channelId: "kitchen", participants: [ANNA, { ...BEN, deafened: true }] }], IDLE);
    expect(channels[0]?.people.map(({ isDeafened }) => isDeafened)).toEqual([false, true]);
  });

  it("shows who speaks in the own channel alone", () => {
    const { channels } = shownChannels(LISTED, inCall("kitchen", ["anna", "ben", "cleo"]));
    const speaking = channels.flatMap(({ people }) => people.filter(({ isSpeaking }) => isSpeaking));
    expect(speaking.map(({ username }) => username)).toEqual(["Anna"]);
    expect(channels.map(({ isOwn }) => isOwn)).toEqual([false, true]);
    expect(channels[1]?.label).toBe("kitchen, your channel, 2 people: Anna, Ben");
  });

  it("shows the same people in the own channel as the tiles", () => {
    const { channels } = shownChannels(LISTED, inCall("bath", []));
    expect(channels.map(({ channelId, count }) => [channelId, count])).toEqual([["attic", 1], ["bath", 2], ["kitchen", 2]]);
  });

  it("takes the list of the directory while there is no session", () => {
    const { channels } = shownChannels(LISTED, inCall("attic", ["cleo"], "waiting"));
    expect(channels[0]).toMatchObject({ channelId: "attic", count: 1, isOwn: true });
  });

  it("has an end, however many channels and people there are", () => {
    const participants = Array.from({ length: 400 }, (_, index) => participant(`user${index}`));
    const listed = Array.from({ length: 400 }, (_, index) => ({ channelId: `c${index}`, participants }));
    const { channels, more, count } = shownChannels(listed, IDLE);
    expect([channels.length, more, count]).toEqual([200, 200, 160_000]);
    expect(channels[0]?.people).toHaveLength(25);
    expect(channels[0]?.label).toMatch(/, 400 people: user0, .*, user9 and 390 more$/);
  });

  it("leaves the network to a call that has no connection", () => {
    expect(needsConnection(IDLE)).toBe(false);
    expect(needsConnection(inCall("kitchen", []))).toBe(false);
    expect(needsConnection(inCall("kitchen", [], "waiting"))).toBe(true);
    const state = inCall("kitchen", []);
    expect(needsConnection({ ...state, presence: { ...state.presence, reconnecting: true } })).toBe(true);
  });
});
