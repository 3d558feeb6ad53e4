// The microphone as a WAV file, which every decoder reads; what browsers record by themselves is not.

const WORKLET = "tap.js";
const LONGEST_S = 60;

export async function startRecording(onEnd) {
  const stream = await navigator.mediaDevices.getUserMedia({
    // What makes voices clear spoils music.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext();
  await context.audioWorklet.addModule(WORKLET);
  const source = context.createMediaStreamSource(stream);
  const tap = new AudioWorkletNode(context, "tap");
  const chunks = [];
  tap.port.onmessage = ({ data }) => chunks.push(data);
  source.connect(tap);
  let ended = false;
  const stop = async () => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    stream.getTracks().forEach((track) => track.stop());
    const rate = context.sampleRate;
    await context.close();
    onEnd(new File([wav(chunks, rate)], "recording.wav", { type: "audio/wav" }));
  };
  const timer = setTimeout(stop, 1000 * LONGEST_S);
  return stop;
}

export function wav(chunks, rate) {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 2 * length));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * length, true);
  let at = 44;
  for (const chunk of chunks) {
    for (const sample of chunk) {
      view.setInt16(at, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
      at += 2;
    }
  }
  return view.buffer;
}
