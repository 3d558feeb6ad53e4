// What is drawn: the waveform, and the scores along the song under it.

export const ROW_REM = 1.25;

// Largest and smallest samples in each of so many pieces, of an AudioBuffer.
export function peaksOf(buffer, count) {
  const samples = buffer.getChannelData(0);
  const peaks = new Float32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const end = Math.max(Math.floor(((i + 1) * samples.length) / count), i + 1);
    let low = 0;
    let high = 0;
    for (let n = Math.floor((i * samples.length) / count); n < end && n < samples.length; n++) {
      if (samples[n] < low) low = samples[n];
      if (samples[n] > high) high = samples[n];
    }
    peaks[2 * i] = low;
    peaks[2 * i + 1] = high;
  }
  return peaks;
}

export function drawWave(canvas, peaks) {
  const { context, width, height } = prepare(canvas);
  if (!peaks) return;
  context.fillStyle = colour("--wave");
  const count = peaks.length / 2;
  const loudest = peaks.reduce((most, peak) => Math.max(most, Math.abs(peak)), 1e-6);
  for (let i = 0; i < count; i++) {
    const top = (height / 2) * (1 - peaks[2 * i + 1] / loudest);
    const bottom = (height / 2) * (1 - peaks[2 * i] / loudest);
    context.fillRect((i * width) / count, top, Math.max(width / count, 0.5), Math.max(bottom - top, 1));
  }
}

// Scores [time][label] of some labels as a heat map, each window around its own middle.
export function drawHeat(canvas, { times_s: times, scores }, { labels, duration, range }) {
  canvas.style.height = `${labels.length * ROW_REM}rem`;
  const { context, width, height } = prepare(canvas);
  const [low, high] = [rgb("--low"), rgb("--high")];
  const row = height / labels.length;
  times.forEach((time, t) => {
    const from = t ? (times[t - 1] + time) / 2 : 0;
    const to = t + 1 < times.length ? (time + times[t + 1]) / 2 : duration;
    labels.forEach((label, k) => {
      const [least, most] = range(label);
      const share = Math.min(1, Math.max(0, (scores[t][label] - least) / (most - least || 1)));
      const mixed = low.map((c, i) => Math.round(c + (high[i] - c) * share));
      context.fillStyle = `rgb(${mixed.join(",")})`;
      const x = (from / duration) * width;
      // A pixel more, so that no line shows between windows.
      context.fillRect(x, k * row, ((to - from) / duration) * width + 1, row - 1);
    });
  });
}

function prepare(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function rgb(name) {
  const text = colour(name);
  return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
}
