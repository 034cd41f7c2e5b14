// The gateway's side of a session as SDP. `sections` are rtpParameters with a mid. `direction` is recvonly in an answer
// and sendonly in an offer.
export function describe(transport, sections, direction, setup, version) {
  const head = [
    "v=0",
    `o=- 1 ${version} IN IP4 0.0.0.0`,
    "s=-",
    "t=0 0",
    `a=group:BUNDLE ${sections.map(({ mid }) => mid).join(" ")}`,
    "a=ice-lite",
  ];
  const lines = sections.flatMap((section) => describeSection(transport, section, direction, setup));
  return [...head, ...lines, ""].join("\r\n");
}

function describeSection({ iceParameters, iceCandidates, dtlsParameters }, section, direction, setup) {
  const { payloadType, mimeType, clockRate, channels = 1, parameters = {}, rtcpFeedback = [] } = section.codecs[0];
  const [kind, name] = mimeType.split("/");
  const fmtp = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
  return [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF ${payloadType}`,
    "c=IN IP4 0.0.0.0",
    `a=mid:${section.mid}`,
    `a=${direction}`,
    "a=rtcp-mux",
    `a=setup:${setup}`,
    `a=ice-ufrag:${iceParameters.usernameFragment}`,
    `a=ice-pwd:${iceParameters.password}`,
    ...dtlsParameters.fingerprints.map(({ algorithm, value }) => `a=fingerprint:${algorithm} ${value}`),
    `a=rtpmap:${payloadType} ${name}/${clockRate}${channels > 1 ? `/${channels}` : ""}`,
    ...(fmtp.length > 0 ? [`a=fmtp:${payloadType} ${fmtp.join(";")}`] : []),
    ...rtcpFeedback.map(({ type, parameter = "" }) => `a=rtcp-fb:${payloadType} ${type} ${parameter}`.trimEnd()),
    ...(section.headerExtensions ?? []).map(({ id, uri }) => `a=extmap:${id} ${uri}`),
    ...(direction === "sendonly"
      ? [`a=msid:gateway ${section.mid}`, `a=ssrc:${section.encodings[0].ssrc} cname:${section.rtcp.cname}`]
      : []),
    ...iceCandidates.map(
      ({ foundation, protocol, priority, address, port, type, tcpType }) =>
        `a=candidate:${foundation} 1 ${protocol} ${priority} ${address} ${port} typ ${type}` +
        (tcpType ? ` tcptype ${tcpType}` : ""),
    ),
    "a=end-of-candidates",
  ];
}

// The values of all lines a=name:….
export function attributes(description, name) {
  const begin = `a=${name}:`;
  const lines = description.split(/\r?\n/).filter((line) => line.startsWith(begin));
  return lines.map((line) => line.slice(begin.length));
}
