// Who answers the page: the network itself, in this browser. Nothing is sent anywhere.

import * as ort from "./ort.wasm.min.mjs";
import { combine } from "./combine.js";
import { average, cut, decode, fitted, resample } from "./sound.js";

ort.env.wasm.numThreads = 1; // more need headers that plain file servers do not send
ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;

const BATCH = 4;
let session = null;
let known = null;

export class TokenWanted extends Error {}

export function useToken() {}

export const about = "The network runs in this browser: no song leaves this machine.";

export async function models() {
  const response = await fetch("model.json");
  if (!response.ok) throw new Error("model.json is missing beside this page.");
  const { name, classes, inference, type } = await response.json();
  session ??= await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
  known = { ...inference, classes_exclude: type === "multi-class classifier" };
  const task = type === "regression" ? "regression" : "classes";
  const model = { name, labels: classes, task, thresholds: inference.thresholds ?? {}, type };
  return { models: [model], index: false };
}

// As `mclf calibrate` found: sigmoid(scale logit(p) + bias) of tags, softmax(scale log(p)) of classes.
function putRight(scores, { scale, bias }, type) {
  const at = (values, k) => values[values.length > 1 ? k : 0];
  if (type === "multi-class classifier") {
    const logs = scores.map((p) => at(scale, 0) * Math.log(Math.max(p, 1e-12)));
    const most = Math.max(...logs);
    const exps = logs.map((x) => Math.exp(x - most));
    const sum = exps.reduce((a, b) => a + b, 0);
    return exps.map((x) => x / sum);
  }
  return scores.map((p, k) => {
    const q = Math.min(Math.max(p, 1e-7), 1 - 1e-7);
    return 1 / (1 + Math.exp(-(at(scale, k) * Math.log(q / (1 - q)) + at(bias, k))));
  });
}

export async function tag(file, model, progress = () => {}) {
  const { channels, rate } = await decode(file);
  const song = resample(average(channels), rate, known.sample_rate);
  if (!song.length) throw new Error("It has no samples.");
  const window = known.window_samples;
  const windowS = Math.min(window, song.length) / known.sample_rate;
  const scored = cut(song.length, { window, rate: known.sample_rate, ...known });
  const hop_s = known.hop_s ?? window / known.sample_rate / 2;
  const along = cut(song.length, { window, rate: known.sample_rate, hop_s, num_windows: 1 });
  const starts = [...new Set([...scored, ...along])].sort((a, b) => a - b);
  const rows = new Map();
  const weights = new Map();
  for (let i = 0; i < starts.length; i += BATCH) {
    const some = starts.slice(i, i + BATCH);
    const audio = new Float32Array(some.length * window);
    some.forEach((start, row) => audio.set(fitted(song, start, window, known.short), row * window));
    const { scores, attention } = await session.run({ audio: new ort.Tensor("float32", audio, [some.length, window]) });
    const of = (tensor, row) => tensor.data.slice(row * tensor.dims[1], (row + 1) * tensor.dims[1]);
    some.forEach((start, row) => rows.set(start, of(scores, row)));
    if (attention) some.forEach((start, row) => weights.set(start, of(attention, row)));
    progress((i + some.length) / starts.length);
    await new Promise((done) => setTimeout(done)); // so that the page stays alive
  }
  const found = combine(scored.map((start) => rows.get(start)), scored.map((start) => weights.get(start)), known);
  if (!found.every(Number.isFinite)) throw new Error("What the network makes of it is not finite.");
  const right = (scores) => (known.scaling ? putRight([...scores], known.scaling, model.type) : [...scores]);
  const said = right(found);
  return {
    model: model.name,
    duration_s: song.length / known.sample_rate,
    scores: Object.fromEntries(model.labels.map((label, k) => [label, said[k]])),
    thresholds: model.thresholds,
    taggram: {
      times_s: along.map((start) => start / known.sample_rate + windowS / 2),
      window_s: windowS,
      scores: along.map((start) => right(rows.get(start))),
    },
    notes: [],
  };
}
