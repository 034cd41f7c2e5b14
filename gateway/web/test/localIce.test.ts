import { describe, expect, it } from "vitest";

import { credentialsIn } from "../src/localIce";

describe("the browser's own ICE credentials", () => {
  it("are in its descriptions", () => {
    const sdp = ["v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=ice-ufrag:Ab+/", "a=ice-pwd:a+password/of22letters0"];
    const media = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=ice-ufrag:Ab+/", "a=ice-pwd:a+password/of22letters0", ""];
    const expected = { usernameFragment: "Ab+/", password: "a+password/of22letters0" };
    expect(credentialsIn([...sdp, ...media].join("\r\n"))).toEqual(expected);
  });

  it("are unknown without a description", () => {
    expect(credentialsIn(undefined)).toBeUndefined();
    expect(credentialsIn("v=0\r\na=ice-ufrag:Ab+/\r\n")).toBeUndefined();
  });
});
