// Numbered packets in the form of tools/interop/media.py.
import { RtpHeader, RtpPacket } from "werift";

const FILLING = Buffer.alloc(40);
const PARAMETER_SETS = Buffer.from("7800076742e01f8c8d40000468ce3c80", "hex");
const TWO_BYTE = 0x1000;
const UNKNOWN_ID = 20; // needs the two-byte form

function numbered(head, number) {
  const end = Buffer.alloc(4);
  end.writeUInt32BE(number);
  return Buffer.concat([Buffer.from(head), FILLING, end]);
}

// The payloads of one frame.
function frame(mimeType, number, picture, key) {
  if (mimeType === "audio/opus") return [numbered([0x78], number)];
  if (mimeType === "video/VP8") {
    const id = [0x80, 0x80 | ((picture >> 8) & 0x7f), picture & 0xff];
    if (!key) return [numbered([0x90, ...id, 0x11, 0x02, 0x00], number)];
    const head = [0x90, ...id, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
    return [numbered(head, number), numbered([0x80, ...id], number + 1)];
  }
  if (!key) return [numbered([0x41, 0x9a], number)];
  const sei = numbered([0x06, 0x05, 0x29], number);
  const sets = Buffer.concat([PARAMETER_SETS, Buffer.from([0, sei.length]), sei]);
  return [sets, numbered([0x7c, 0x85, 0x88], number + 1), numbered([0x7c, 0x45], number + 2)];
}

function beginsKeyFrame(mimeType, payload) {
  if (mimeType === "video/VP8") {
    if ((payload[0] & 0x17) !== 0x10) return false;
    let at = 1;
    if (payload[0] & 0x80) {
      const flags = payload[1];
      at = 2 + (flags & 0x80 ? (payload[2] & 0x80 ? 2 : 1) : 0) + (flags & 0x40 ? 1 : 0) + (flags & 0x30 ? 1 : 0);
    }
    return (payload[at] & 1) === 0;
  }
  return mimeType === "video/H264" && (payload[0] & 31) === 24;
}

// A stream of numbered packets, sent over a track.
export class Stream {
  number = 0;
  frames = 0;
  asked = 0;
  keyWanted = true;
  mid; // set only if it is not the track's own

  constructor(track, codec, midId, { variation, first }) {
    Object.assign(this, { track, codec, midId, variation });
    this.sequence = first?.[track.kind] ?? Math.floor(Math.random() * 0x8000);
    this.timestamp = Math.floor(Math.random() * 2 ** 32);
  }

  sendFrame(step) {
    const payloads = frame(this.codec.mimeType, this.number, this.frames, this.keyWanted);
    this.keyWanted = false;
    payloads.forEach((payload, index) => {
      const padding = this.variation === "padding" ? 1 + (this.number % 15) : 0;
      this.#write(payload, padding, index === payloads.length - 1);
      this.number += 1;
    });
    if (this.variation === "probes") for (let count = 0; count < 2; count++) this.#write(Buffer.alloc(0), 200, false);
    this.frames += 1;
    this.timestamp = (this.timestamp + step) >>> 0;
  }

  #write(payload, padding, last) {
    const header = new RtpHeader({
      marker: last && this.codec.mimeType.startsWith("video"),
      payloadType: this.codec.payloadType,
      sequenceNumber: this.sequence,
      timestamp: this.timestamp,
      padding: padding > 0,
      paddingSize: padding,
      extensions: this.mid === undefined ? [] : [{ id: this.midId, payload: Buffer.from(this.mid) }],
    });
    if (this.variation === "two_byte") {
      header.extensionProfile = TWO_BYTE;
      header.extensions.push({ id: UNKNOWN_ID, payload: Buffer.alloc(20) });
    }
    this.sequence = (this.sequence + 1) & 0xffff;
    // werift sets the padding flag, but its caller has to write the padding.
    const end = Buffer.alloc(padding, 0);
    if (padding > 0) end[padding - 1] = padding;
    this.track.writeRtp(new RtpPacket(header, Buffer.concat([payload, end])));
  }
}

// The packets that arrived from one stream.
export class Tally {
  numbers = [];
  keys = 0;
  firstIsKey = false;

  take(mimeType, payload) {
    if (payload.length < 5) return;
    const key = beginsKeyFrame(mimeType, payload);
    this.firstIsKey ||= key && this.numbers.length === 0;
    this.keys += key ? 1 : 0;
    this.numbers.push(payload.readUInt32BE(payload.length - 4));
  }
}
