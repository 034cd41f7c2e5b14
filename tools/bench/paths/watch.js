// Runs in every page after page.js. It notes when pictures came, which path their packets took, and what the page heard
// of others: `__watch.read()`. All times are milliseconds of `Date.now()`, which the bench's own clock shares.
(() => {
  const SAMPLE_MS = 50;
  const LATE_MS = 1000;
  const QUIET = new Set(["ping", "stats", "active_speakers", "ok"]);
  const pictures = [];
  const events = [];
  const note = (what, detail = "") => events.push([Date.now(), what, String(detail)]);

  // Our page keeps its WebSocket to itself.
  const Socket = window.WebSocket;
  window.WebSocket = class extends Socket {
    constructor(...options) {
      super(...options);
      note("socket", "new");
      this.addEventListener("open", () => note("socket", "open"));
      this.addEventListener("close", ({ code, reason }) => note("socket", `closed with ${code} ${reason}`));
      this.addEventListener("message", ({ data }) => hear(data));
    }

    send(data) {
      const message = parse(data);
      if (message && !QUIET.has(message.type)) note("sent", message.type);
      super.send(data);
    }
  };

  function parse(text) {
    try {
      return typeof text === "string" ? JSON.parse(text) : undefined;
    } catch {
      return undefined;
    }
  }

  function hear(text) {
    const message = parse(text);
    if (message?.type === "voice_state") note(message.data.type, message.data.participant?.username);
    else if (message && !QUIET.has(message.type)) note("got", `${message.type} ${text.slice(0, 300)}`);
  }

  for (const name of ["online", "offline"]) window.addEventListener(name, () => note("browser", name));
  navigator.connection?.addEventListener("change", () => note("browser", `connection ${navigator.connection.type}`));

  // Chromium names the pair in the entry of the transport, Firefox marks the pair itself.
  function selectedPath(report) {
    const entries = [...report.values()];
    const transport = entries.find((entry) => entry.type === "transport" && entry.selectedCandidatePairId);
    const pair = report.get(transport?.selectedCandidatePairId) ?? entries.find((entry) => entry.selected);
    const local = report.get(pair?.localCandidateId);
    const remote = report.get(pair?.remoteCandidateId);
    if (!local || !remote) return undefined;
    return `${local.protocol} ${local.address}:${local.port} to ${remote.address}:${remote.port}`;
  }

  const seen = new Map();
  const changed = (key, value) => seen.get(key) !== value && seen.set(key, value);

  async function lookAt(connection, number) {
    const report = await connection.getStats();
    if (changed(`ice ${number}`, connection.iceConnectionState)) note("ice", `${number} ${connection.iceConnectionState}`);
    const videos = [...report.values()].filter(({ type, kind }) => type === "inbound-rtp" && kind === "video");
    let hasMore = false;
    for (const { id, framesDecoded = 0 } of videos) {
      const key = `${number} ${id}`;
      hasMore ||= framesDecoded > (seen.get(key) ?? 0);
      seen.set(key, framesDecoded);
    }
    const path = videos.length > 0 ? selectedPath(report) : undefined;
    if (path && changed(`path ${number}`, path)) note("path", path);
    return hasMore;
  }

  async function look() {
    const open = [...__quality.connections.entries()].filter(([, { connectionState }]) => connectionState !== "closed");
    // Firefox never answers for a connection that closes meanwhile.
    const late = new Promise((done) => setTimeout(done, LATE_MS, false));
    const looks = open.map(([number, connection]) => lookAt(connection, number).catch(() => false));
    const found = await Promise.all(looks.map((look) => Promise.race([look, late])));
    if (found.includes(true)) pictures.push(Date.now());
  }

  const looking = () => look().then(() => setTimeout(looking, SAMPLE_MS));
  looking();

  window.__watch = { note, read: () => ({ pictures, events }) };
})();
