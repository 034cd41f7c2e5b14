/**
 * Switches encodings off that nobody watches, and on again as soon as somebody does.
 *
 * The gateway says which encodings it needs. A wish replaces the one before it, also one that was not applied yet. The
 * caller applies wishes one at a time.
 */
import type { types } from "mediasoup-client";

import { withPausedEncodings } from "./sdp";

export type Switchable = Pick<types.Producer, "id" | "closed" | "rtpSender">;

export class EncodingSwitch {
  readonly #wishes = new Map<string, readonly boolean[]>();

  /** The gateway needs these encodings of a producer, in rising quality. */
  wish(producerId: string, active: readonly boolean[]): void {
    this.#wishes.set(producerId, active);
  }

  /** Forget the wishes about all other producers. */
  keepOnly(producers: Iterable<Switchable>): void {
    const ids = new Set([...producers].map(({ id }) => id));
    for (const id of this.#wishes.keys()) if (!ids.has(id)) this.#wishes.delete(id);
  }

  /**
   * Switch the encodings of a producer as the gateway wishes. Returns whether anything changed.
   *
   * A browser that refuses goes on as before: then it sends too much, but everybody sees it.
   */
  async apply(producer: Switchable): Promise<boolean> {
    const active = this.#wishes.get(producer.id);
    const sender = producer.rtpSender;
    if (!active || !sender || producer.closed) return false;
    // Browsers take back only what they gave out just now, so nothing may wait between these lines.
    const parameters = sender.getParameters();
    const { encodings } = parameters;
    const isWanted = (index: number) => active[index] ?? true;
    if (encodings.every((encoding, index) => (encoding.active ?? true) === isWanted(index))) return false;
    encodings.forEach((encoding, index) => (encoding.active = isWanted(index)));
    return sender.setParameters(parameters).then(
      () => true,
      () => false,
    );
  }
}

/** Let each answer of a sending transport keep the encodings off that are off. */
export function keepEncodingsOff(transport: types.Transport): void {
  // mediasoup-client hides the connection. Without it, the next wish switches the encodings off again.
  const peer = (transport.handler as unknown as { _pc?: RTCPeerConnection })._pc;
  if (!peer) return;
  const setRemoteDescription = peer.setRemoteDescription.bind(peer);
  peer.setRemoteDescription = (answer: RTCSessionDescriptionInit): Promise<void> => {
    const sdp = answer.sdp && withPausedEncodings(answer.sdp, (mid, rid) => isOff(peer, mid, rid));
    return setRemoteDescription({ ...answer, ...(sdp && { sdp }) });
  };
}

function isOff(peer: RTCPeerConnection, mid: string, rid: string): boolean {
  const sender = peer.getTransceivers().find((transceiver) => transceiver.mid === mid)?.sender;
  return sender?.getParameters().encodings.some((each) => each.rid === rid && each.active === false) ?? false;
}
