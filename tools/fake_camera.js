// Replaces the camera with a drawing of a person who sways a little. The microphone is the browser's own fake one,
// which beeps, or a silent one. tools/screenshot.py replaces `LOOK` with the person's colours.
(() => {
  const WIDTH = 1280;
  const HEIGHT = 720;

  function draw(context, look, seconds) {
    const { wall, floor, skin, hair, shirt, longHair } = look;
    const sway = Math.sin(seconds * 1.3) * 8;
    const nod = Math.sin(seconds * 2.1) * 4;
    const fill = (colour, path) => {
      context.fillStyle = colour;
      context.beginPath();
      path();
      context.fill();
    };
    context.fillStyle = wall;
    context.fillRect(0, 0, WIDTH, HEIGHT);
    fill(floor, () => context.roundRect(look.window, 70, 250, 300, 16));
    fill(wall, () => context.rect(look.window + 119, 70, 12, 300));
    fill(wall, () => context.rect(look.window, 214, 250, 12));
    context.save();
    context.translate(640 + sway, 0);
    if (longHair) fill(hair, () => context.roundRect(-150, 210 + nod, 300, 330, 130));
    fill(shirt, () => context.roundRect(-290, 540, 580, 400, 170));
    fill(skin, () => context.roundRect(-55, 440, 110, 150, 55));
    fill(skin, () => context.ellipse(0, 350 + nod, 118, 150, 0, 0, 7));
    fill(hair, () => {
      context.ellipse(0, 275 + nod, 130, 110, 0, Math.PI, 0);
      context.quadraticCurveTo(40, 215 + nod, -130, 285 + nod);
    });
    const eye = seconds % 4 < 0.15 ? 2 : 11;
    for (const side of [-44, 44]) fill("#2b2320", () => context.ellipse(side, 345 + nod, 10, eye, 0, 0, 7));
    context.strokeStyle = "#8a4a3c";
    context.lineWidth = 8;
    context.lineCap = "round";
    context.beginPath();
    context.arc(0, 395 + nod, 46, 0.35, Math.PI - 0.35);
    context.stroke();
    context.restore();
  }

  function camera(look) {
    const canvas = document.createElement("canvas");
    canvas.width = WIDTH;
    canvas.height = HEIGHT;
    const context = canvas.getContext("2d");
    const began = performance.now();
    setInterval(() => draw(context, look, (performance.now() - began) / 1000), 50);
    return canvas.captureStream(20).getVideoTracks()[0];
  }

  const devices = navigator.mediaDevices;
  const original = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async ({ audio, video }) => {
    const tracks = [];
    if (audio && LOOK.speaks) tracks.push(...(await original({ audio })).getTracks());
    else if (audio) tracks.push(...new AudioContext().createMediaStreamDestination().stream.getTracks());
    if (video) tracks.push(camera(LOOK));
    return new MediaStream(tracks);
  };
})();
