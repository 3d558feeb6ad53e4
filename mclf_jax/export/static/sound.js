// From a file to windows at the network's rate, as the Python side cuts them.

// Channels [T] each, at the file's own rate: browsers would resample to that of the loudspeakers.
export async function decode(file) {
  const content = await file.arrayBuffer();
  const rate = rateOf(new Uint8Array(content)) ?? 48000;
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(content);
  } catch {
    throw new Error("This browser cannot decode it: is it audio?");
  }
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
  return { channels, rate };
}

// The sample rate in the header of WAV, FLAC, Ogg (Vorbis, Opus) and MP3; null of others.
export function rateOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const is = (word, at) => [...word].every((c, i) => bytes[at + i] === c.charCodeAt(0));
  if (is("RIFF", 0) && is("WAVE", 8)) {
    for (let at = 12; at + 16 <= bytes.length; at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) & 1)) {
      if (is("fmt ", at)) return allowed(view.getUint32(at + 12, true));
    }
    return null;
  }
  if (is("fLaC", 0)) return allowed((bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4));
  if (is("OggS", 0)) {
    const at = 27 + bytes[26];
    if (is("OpusHead", at)) return 48000;
    return is("\x01vorbis", at) ? allowed(view.getUint32(at + 12, true)) : null;
  }
  let at = 0;
  if (is("ID3", 0)) at = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
  for (const end = Math.min(bytes.length - 4, at + 65536); at < end; at++) {
    const [version, layer, index] = [(bytes[at + 1] >> 3) & 3, (bytes[at + 1] >> 1) & 3, (bytes[at + 2] >> 2) & 3];
    if (bytes[at] === 0xff && (bytes[at + 1] & 0xe0) === 0xe0 && version !== 1 && layer && index < 3 && bytes[at + 2] >> 4 < 15) {
      return [44100, 48000, 32000][index] >> { 3: 0, 2: 1, 0: 2 }[version];
    }
  }
  return null;
}

function allowed(rate) {
  return rate >= 3000 && rate <= 768000 ? rate : null;
}

export function average(channels) {
  if (channels.length === 1) return channels[0];
  const mean = new Float32Array(channels[0].length);
  for (const channel of channels) for (let n = 0; n < mean.length; n++) mean[n] += channel[n];
  return mean.map((sum) => sum / channels.length);
}

// Band-limited interpolation (J. O. Smith): a sinc in a Kaiser window, whose passband ends at 0.91
// of half the lower rate and whose stopband, 120 dB down, begins at it.
const [PASS, ATTENUATION_DB] = [0.913, 120];
export function resample(samples, from, to) {
  if (from === to) return samples;
  const divisor = gcd(from, to);
  const [up, down] = [to / divisor, from / divisor];
  const cutoff = (Math.min(1, to / from) * (1 + PASS)) / 2;
  const beta = 0.1102 * (ATTENUATION_DB - 8.7);
  const transition = Math.PI * (1 - PASS) * Math.min(1, to / from);
  const half = Math.ceil((ATTENUATION_DB - 8) / (2.285 * transition) / 2);
  const edge = bessel(beta);
  const kernels = new Map();
  const kernelOf = (phase) => {
    const made = new Float64Array(2 * half);
    let sum = 0;
    for (let k = 0; k < 2 * half; k++) {
      const x = k - half + 1 - phase / up;
      const inside = 1 - (x / half) ** 2;
      if (inside <= 0) continue;
      const angle = Math.PI * x * cutoff;
      made[k] = cutoff * (angle ? Math.sin(angle) / angle : 1) * (bessel(beta * Math.sqrt(inside)) / edge);
      sum += made[k];
    }
    return made.map((value) => value / sum);
  };
  const resampled = new Float32Array(Math.round((samples.length * to) / from));
  for (let n = 0; n < resampled.length; n++) {
    const phase = (n * down) % up;
    const place = (n * down - phase) / up;
    let kernel = kernels.get(phase);
    if (!kernel) {
      kernel = kernelOf(phase);
      if (up <= 4096) kernels.set(phase, kernel);
    }
    const first = place - half + 1;
    let sum = 0;
    for (let k = Math.max(0, -first), end = Math.min(2 * half, samples.length - first); k < end; k++) {
      sum += kernel[k] * samples[first + k];
    }
    resampled[n] = sum;
  }
  return resampled;
}

// First samples of windows: so many, evenly spaced, or one every hop_s and one at the very end.
export function cut(length, { window, rate, num_windows, hop_s }) {
  const last = Math.max(0, length - window);
  const starts = [];
  if (hop_s != null) {
    const hop = Math.max(1, hop_s * rate);
    for (let i = 0; i * hop < last + 0.5; i++) starts.push(toEven(i * hop));
    starts.push(last);
  } else {
    const count = Math.min(num_windows, last + 1);
    const step = count > 1 ? last / (count - 1) : 0;
    for (let i = 0; i < count; i++) starts.push(i && i === count - 1 ? last : toEven(i * step));
  }
  return [...new Set(starts)].sort((a, b) => a - b);
}

// A window of a song; a shorter song is repeated or followed by silence.
export function fitted(song, start, window, short) {
  const clip = song.subarray(start, start + window);
  if (clip.length === window) return clip;
  const whole = new Float32Array(window);
  if (short === "pad") whole.set(clip);
  else for (let n = 0; n < window; n++) whole[n] = clip[n % clip.length];
  return whole;
}

// Halves go to the even neighbour, as numpy has them.
function toEven(x) {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
