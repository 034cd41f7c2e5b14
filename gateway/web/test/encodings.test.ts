import { describe, expect, it } from "vitest";

import { encodedAs, withoutSimulcast } from "../src/encodings";

const scales = (width?: number, height?: number) =>
  encodedAs("camera", { ...(width && { width }), ...(height && { height }) }).encodings?.map((each) => each.scaleResolutionDownBy);

describe("the encodings of a camera", () => {
  it("are as many as Chromium sends of a picture of this size", () => {
    expect(scales(1280, 720)).toEqual([4, 2, undefined]);
    expect(scales(960, 540)).toEqual([4, 2, undefined]);
    expect(scales(640, 480)).toEqual([2, undefined]);
    expect(scales(640, 360)).toEqual([2, undefined]);
    expect(scales(320, 240)).toEqual([undefined]);
  });

  it("are the same on a phone that is held upright", () => {
    expect(scales(720, 1280)).toEqual([4, 2, undefined]);
  });

  it("are one if the browser does not say how large the picture is", () => {
    expect(scales()).toEqual([undefined]);
  });

  it("rise in quality, and each has temporal layers", () => {
    const { encodings = [] } = encodedAs("camera", { width: 1280, height: 720 });
    const rates = encodings.map(({ maxBitrate = 0 }) => maxBitrate);
    expect(rates).toEqual([...rates].sort((one, other) => one - other));
    expect(encodings.map(({ scalabilityMode }) => scalabilityMode)).toEqual(["L1T3", "L1T3", "L1T3"]);
  });

  it("are the best one alone where simulcast is refused", () => {
    expect(withoutSimulcast(encodedAs("camera", { width: 1280, height: 720 })).encodings).toMatchObject([{ maxBitrate: 2_000_000 }]);
    expect(withoutSimulcast(encodedAs("microphone", {}))).toEqual(encodedAs("microphone", {}));
  });
});

describe("the encoding of a screen", () => {
  it("is a single one with few frames, however large the screen is", () => {
    expect(encodedAs("screen", { width: 2560, height: 1440 }).encodings).toMatchObject([{ maxFramerate: 15 }]);
  });
});
