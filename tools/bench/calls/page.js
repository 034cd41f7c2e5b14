// Runs in every page of the bench before the page's own scripts. It gives the page the same camera and microphone on
// every server, and lets the bench read the statistics of all peer connections: `await __quality.read()`.
(() => {
  const WIDTH = 640;
  const HEIGHT = 360;
  const { rate, simulcast, framesASecond } = window.__camera;
  const SAMPLE_MS = 100;
  const MOST_SAMPLES = 6000;
  const CONTEXT_MS = 1000;
  const TYPES = ["inbound-rtp", "outbound-rtp"];

  // Mediasoup-client and LiveKit hide their connections, so this keeps all that are made. It also gives the best encoding
  // of every camera the same bitrate: of two pictures the one with more packets loses more.
  function limited(encodings) {
    const best = encodings.length - 1;
    return encodings.map((one, index) => (index === best ? { ...one, maxBitrate: rate } : one));
  }

  const connections = [];
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...options) {
      super(...options);
      connections.push(this);
    }

    addTransceiver(track, options = {}) {
      if (track.kind !== "video") return super.addTransceiver(track, options);
      return super.addTransceiver(track, { ...options, sendEncodings: limited(options.sendEncodings ?? [{}]) });
    }
  };

  // Coloured blobs: enough detail and motion that the encoder needs several packets for each frame.
  function wallpaper() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [WIDTH + 80, HEIGHT + 80];
    const context = canvas.getContext("2d");
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    for (let index = 0; index < 1500; index++) {
      context.fillStyle = `hsl(${random() * 360} 60% ${30 + random() * 50}%)`;
      context.beginPath();
      context.arc(random() * canvas.width, random() * canvas.height, 4 + random() * 22, 0, 7);
      context.fill();
    }
    return canvas;
  }

  function camera() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    const context = canvas.getContext("2d");
    const behind = wallpaper();
    const began = performance.now();
    const draw = () => {
      const seconds = (performance.now() - began) / 1000;
      context.drawImage(behind, -40 + 30 * Math.sin(seconds * 0.7), -40 + 30 * Math.sin(seconds * 0.9));
      context.fillStyle = "#e9b795";
      context.beginPath();
      context.ellipse(320 + 40 * Math.sin(seconds * 1.3), 180 + 15 * Math.sin(seconds * 2.1), 70, 95, 0, 0, 7);
      context.fill();
    };
    draw();
    setInterval(draw, 1000 / framesASecond);
    const [track] = canvas.captureStream().getVideoTracks();
    // From the size, our page chooses the encodings of simulcast. Without one, it sends a single encoding.
    const settings = simulcast ? { width: WIDTH, height: HEIGHT, frameRate: framesASecond } : {};
    track.getSettings = () => settings;
    return track;
  }

  // A buzz through two formants whose pitch and loudness change like a voice's. It is never silent, so the encoder
  // sends every 20 ms, and the receiver can never take a lost packet for a pause.
  //
  // Firefox starts no AudioContext on a machine without a sound card. There the browser's own fake microphone must do,
  // which gives a steady tone.
  async function microphone() {
    const audio = new AudioContext();
    await Promise.race([audio.resume(), new Promise((done) => setTimeout(done, CONTEXT_MS))]);
    if (audio.state !== "running") {
      const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      return (await original({ audio: plain })).getAudioTracks()[0];
    }
    const destination = audio.createMediaStreamDestination();
    const voice = new OscillatorNode(audio, { type: "sawtooth", frequency: 140 });
    const loudness = new GainNode(audio, { gain: 0.3 });
    const sway = (frequency, depth, target) => {
      const slow = new OscillatorNode(audio, { frequency });
      slow.connect(new GainNode(audio, { gain: depth })).connect(target);
      slow.start();
    };
    sway(0.6, 25, voice.frequency);
    sway(3.7, 0.2, loudness.gain);
    for (const frequency of [600, 1700]) {
      const formant = new BiquadFilterNode(audio, { type: "bandpass", frequency, Q: 4 });
      sway(1.9, frequency / 4, formant.frequency);
      voice.connect(formant).connect(loudness);
    }
    loudness.connect(destination);
    voice.start();
    return destination.stream.getAudioTracks()[0];
  }

  const original = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
  if (original) {
    navigator.mediaDevices.getUserMedia = async ({ audio, video }) =>
      new MediaStream([...(audio ? [await microphone()] : []), ...(video ? [camera()] : [])]);
  }

  // Browsers count a freeze only once it has ended. So note when the newest frame was decoded. Some benches also want to
  // know what each video did over time: its frames, the width of its picture, and its bytes.
  let frames = 0;
  let newest = performance.now();
  let longest = 0;
  const samples = [];
  async function look() {
    const ends = connections.flatMap((connection) => [...connection.getReceivers(), ...connection.getSenders()]);
    const sample = { at: Date.now() / 1000, received: {}, sent: {} };
    let decoded = 0;
    for (const end of ends.filter(({ track, transport }) => track?.kind === "video" && transport)) {
      for (const entry of (await end.getStats()).values()) {
        if (entry.type === "inbound-rtp") {
          decoded += entry.framesDecoded ?? 0;
          const { framesDecoded = 0, frameWidth = 0, bytesReceived = 0 } = entry;
          sample.received[end.track.id] = [framesDecoded, frameWidth, bytesReceived];
        }
        if (entry.type === "outbound-rtp") {
          const { framesEncoded = 0, frameWidth = 0, bytesSent = 0 } = entry;
          sample.sent[entry.rid ?? ""] = [framesEncoded, frameWidth, bytesSent];
        }
      }
    }
    if (samples.push(sample) > MOST_SAMPLES) samples.shift();
    const now = performance.now();
    if (decoded !== frames) {
      longest = Math.max(longest, now - newest);
      [frames, newest] = [decoded, now];
    }
  }
  const looking = () => look().catch(() => undefined).then(() => setTimeout(looking, SAMPLE_MS));
  looking();

  window.__quality = {
    connections,
    samples: () => samples,
    // All entries of the statistics that the bench uses, and since when no frame was decoded.
    read: async () => {
      const reports = await Promise.all(connections.map((connection) => connection.getStats()));
      const entries = reports.flatMap((report) => [...report.values()]).filter(({ type }) => TYPES.includes(type));
      const now = performance.now();
      const gap = Math.max(longest, now - newest) / 1000;
      longest = 0;
      return { at: now / 1000, still: (now - newest) / 1000, gap, entries };
    },
  };
})();
