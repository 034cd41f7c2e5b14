/** The few changes of session descriptions that mediasoup-client cannot make (RFC 8866). */

/** The session's own lines, then those of each media section. Together they are the whole description. */
export function sections(sdp: string): string[] {
  return sdp.split(/^(?=m=)/m);
}

/**
 * An answer that pauses encodings which the sender has switched off (RFC 8853 section 5.2).
 *
 * mediasoup-client's answers always want all encodings, so each negotiation would switch all of them on again.
 */
export function withPausedEncodings(answer: string, isOff: (mid: string, rid: string) => boolean): string {
  return sections(answer)
    .map((section) => {
      const mid = /^a=mid:(\S+)/m.exec(section)?.[1];
      if (mid === undefined) return section;
      const mark = (rid: string) => (isOff(mid, rid) ? `~${rid}` : rid);
      return section.replace(
        /^(a=simulcast:recv )(\S+)/m,
        (_, start: string, rids: string) => start + rids.split(";").map((rid) => mark(rid.replace("~", ""))).join(";"),
      );
    })
    .join("");
}
