/**
 * The browser's own ICE credentials of one transport, which the gateway needs to check a new path.
 *
 * mediasoup-client does not hand them out. They are in each description that the browser makes. So this listens to the
 * `RTCPeerConnection` while it makes one. A handler without a `RTCPeerConnection` has no credentials to tell.
 */
import type { types } from "mediasoup-client";

import type { IceCredentials } from "./protocol";

export class LocalIce {
  /** The newest credentials. Undefined before the first description. */
  newest: IceCredentials | undefined;

  constructor(transport: types.Transport) {
    const connection: unknown = Reflect.get(transport.handler, "_pc");
    if (typeof RTCPeerConnection === "undefined" || !(connection instanceof RTCPeerConnection)) return;
    for (const create of ["createOffer", "createAnswer"] as const) {
      const original = connection[create].bind(connection) as (options?: object) => Promise<RTCSessionDescriptionInit>;
      const listening = async (options?: object) => {
        const description = await original(options);
        this.newest = credentialsIn(description.sdp) ?? this.newest;
        return description;
      };
      Object.defineProperty(connection, create, { value: listening });
    }
  }
}

/** The ICE credentials in a description. All its media share one transport, so the first ones are those of all. */
export function credentialsIn(sdp: string | undefined): IceCredentials | undefined {
  const usernameFragment = /^a=ice-ufrag:(\S+)/m.exec(sdp ?? "")?.[1];
  const password = /^a=ice-pwd:(\S+)/m.exec(sdp ?? "")?.[1];
  return usernameFragment && password ? { usernameFragment, password } : undefined;
}
