/** How the page encodes each source: cameras as simulcast, screens as one sharp encoding. */
import type { types } from "mediasoup-client";

import type { Source } from "./protocol";

type Encoding = types.RtpEncodingParameters;
export type Encoded = Pick<types.ProducerOptions, "encodings" | "codecOptions">;

/** The part of a track's settings that decides how many encodings it gets. */
export type CaptureSize = Pick<MediaTrackSettings, "width" | "height">;

/**
 * From so many pixels on, Chromium sends three encodings of a picture, or two. Of more encodings than that it sends the
 * lowest ones, so the large picture would be missing.
 */
const THREE_FROM = 960 * 540;
const TWO_FROM = 480 * 270;

const TOP: Encoding = { maxBitrate: 2_000_000 };
const MIDDLE: Encoding = { maxBitrate: 500_000, scaleResolutionDownBy: 2 };
const LOW: Encoding = { maxBitrate: 150_000 };
/** Three temporal layers let the gateway halve the frame rate of each encoding twice. */
const LAYERED = { scalabilityMode: "L1T3" };
/** The rate with which Chromium begins, in kbit/s. Its own choice carries only the lowest encoding for some seconds. */
const START = { videoGoogleStartBitrate: 1_000 };

// FEC repairs lost packets. NACK lets the gateway ask for them. DTX sends almost nothing during silence.
const MICROPHONE = { opusFec: true, opusNack: true, opusDtx: true, opusStereo: false };
const SCREEN_AUDIO = { opusFec: true, opusNack: true, opusDtx: false, opusStereo: true };
/** The track's content hint lets the browser lower the frame rate, and never the size, when the network is slow. */
const SCREEN: Encoding = { maxBitrate: 3_000_000, maxFramerate: 15 };

/** The encodings of a source in rising quality. `size` is that of the track, as far as the browser says. */
export function encodedAs(source: Source, size: CaptureSize): Encoded {
  switch (source) {
    case "microphone":
      return { codecOptions: MICROPHONE };
    case "screen_audio":
      return { codecOptions: SCREEN_AUDIO };
    case "camera":
      return { encodings: cameraEncodings(size), codecOptions: START };
    case "screen":
      return { encodings: [SCREEN], codecOptions: START };
    case "other":
      return {};
  }
}

/** The same without simulcast, for a browser that refuses it. */
export function withoutSimulcast({ encodings, ...others }: Encoded): Encoded {
  return encodings ? { ...others, encodings: encodings.slice(-1) } : others;
}

function cameraEncodings({ width = 0, height = 0 }: CaptureSize): Encoding[] {
  const pixels = width * height;
  const encodings =
    pixels >= THREE_FROM
      ? [{ ...LOW, scaleResolutionDownBy: 4 }, MIDDLE, TOP]
      : pixels >= TWO_FROM
        ? [{ ...LOW, scaleResolutionDownBy: 2 }, TOP]
        : [TOP];
  return encodings.map((encoding) => ({ ...encoding, ...LAYERED }));
}
