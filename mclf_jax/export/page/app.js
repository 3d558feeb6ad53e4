// The page: takes a song, asks the backend, shows what it says.

import * as backend from "./backend.js";
import { drawHeat, drawWave, peaksOf } from "./draw.js";
import { startRecording } from "./recorder.js";

const SHOWN_TAGS = 8;
const SHOWN_ROWS = 8;
const NUM_PEAKS = 800;
const $ = (id) => document.getElementById(id);
const audio = $("audio");
let known = null;
let views = [];
let current = 0; // which song: what comes late of another one is not shown
let pending = null; // a song that waits for the token

$("about").textContent = backend.about;
$("file").addEventListener("change", ({ target }) => target.files[0] && listen(target.files[0]));
$("record").addEventListener("click", record);
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  backend.useToken($("token").value.trim());
  $("token-form").hidden = true;
  const file = pending;
  pending = null;
  begin().then((there) => there && file && listen(file));
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) listen(event.dataTransfer.files[0]);
  });
}
addEventListener("resize", () => views.forEach((view) => view.draw()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => views.forEach((view) => view.draw()));
for (const kind of ["timeupdate", "seeked", "loadedmetadata"]) audio.addEventListener(kind, follow);
audio.addEventListener("play", function frame() {
  follow();
  if (!audio.paused) requestAnimationFrame(frame);
});
begin();

async function begin() {
  try {
    known = await backend.models();
    const labels = known.models.map(({ name, labels }) => `${name} (${labels.length} labels)`);
    $("about").textContent = `${labels.join(" and ")}. ${backend.about}`;
    say("");
    return true;
  } catch (error) {
    complain(error, null);
    return false;
  }
}

async function listen(file) {
  const song = ++current;
  $("error").hidden = true;
  if (!known && !(await begin())) {
    pending = file;
    return;
  }
  $("song").hidden = true;
  $("progress").hidden = false;
  const what = known.models.length > 1 ? "models listen" : "model listens";
  say(`The ${what} to ${file.name} ...`);
  try {
    const peaks = waveform(file);
    const found = [];
    for (const model of known.models) {
      const step = (share) => song === current && ($("progress").value = share);
      found.push({ model, said: await backend.tag(file, model, step) });
      if (song !== current) return;
    }
    show(file, found, await peaks);
    say(`Done: ${summary(found[0])}`);
  } catch (error) {
    if (song === current) complain(error, file);
  } finally {
    if (song === current) {
      $("progress").hidden = true;
      $("progress").removeAttribute("value");
      $("file").value = "";
    }
  }
}

// For the picture only; a browser that cannot decode a file shows none.
async function waveform(file) {
  try {
    const context = new OfflineAudioContext(1, 1, 8000);
    return peaksOf(await context.decodeAudioData(await file.arrayBuffer()), NUM_PEAKS);
  } catch {
    return null;
  }
}

function show(file, found, peaks) {
  if (audio.src) URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(file);
  $("song-title").textContent = file.name;
  const notes = new Set(found.flatMap(({ said }) => said.notes ?? []));
  $("notes").replaceChildren(...[...notes].map((note) => element("li", note)));
  $("song").hidden = false; // before it is drawn, so that it has a size
  $("results").replaceChildren();
  views = found.map(({ model, said }) => {
    const root = $("result").content.cloneNode(true).firstElementChild;
    $("results").append(root);
    return new Result(root, model, said, peaks);
  });
  views.forEach((view) => view.draw());
  follow();
  $("song-title").scrollIntoView({ block: "nearest" });
}

function ordered(scores) {
  return Object.entries(scores).sort(([, a], [, b]) => b - a);
}

function summary({ said }) {
  return ordered(said.scores).slice(0, 3).map(([label, score]) => `${label} ${shown(score)}`).join(", ");
}

class Result {
  constructor(root, model, said, peaks) {
    Object.assign(this, { root, model, said, peaks });
    this.labels = Object.keys(said.scores);
    const { scores } = said.taggram;
    const most = (k) => scores.reduce((top, row) => Math.max(top, row[k]), -Infinity);
    const numbers = this.labels.map((_, k) => k);
    this.rows = numbers.sort((a, b) => most(b) - most(a)).slice(0, SHOWN_ROWS);
    const spread = (k) => [scores.reduce((low, row) => Math.min(low, row[k]), Infinity), most(k)];
    this.range = model.task === "regression" ? spread : () => [0, 1];
    root.querySelector("h3").textContent = model.name;
    this.showTags();
    root.querySelector(".rows").replaceChildren(...this.rows.map((k) => element("li", this.labels[k])));
    if (said.similar?.length) {
      root.querySelector(".similar").hidden = false;
      const songs = said.similar.map(({ title, score }) => element("li", `${title} (${shown(score)})`));
      root.querySelector(".similar ol").replaceChildren(...songs);
    }
    this.showTable();
    this.plot = root.querySelector(".plot");
    this.plot.setAttribute("aria-valuemax", said.duration_s.toFixed(1));
    this.plot.addEventListener("click", (event) => seek(this.timeAt(event)));
    this.plot.addEventListener("pointermove", (event) => this.point(this.timeAt(event)));
    this.plot.addEventListener("pointerleave", () => this.point(null));
    this.plot.addEventListener("keydown", (event) => this.key(event));
  }

  showTags() {
    const list = this.root.querySelector(".tags");
    const more = this.root.querySelector(".more");
    const all = ordered(this.said.scores);
    const [least, most] = [Math.min(0, all.at(-1)[1]), Math.max(1, all[0][1])];
    const place = (value) => `${(100 * (value - least)) / (most - least)}%`;
    const lines = all.map(([label, score]) => {
      const line = element("li");
      const threshold = this.said.thresholds?.[label];
      const [name, track, bar] = [element("span", label, "name"), element("span", "", "track"), element("span", "", "bar")];
      bar.style.width = place(score);
      track.append(bar);
      if (threshold !== undefined) {
        const mark = element("span", "", "threshold");
        mark.style.left = place(threshold);
        mark.title = `threshold ${shown(threshold)}`;
        track.append(mark);
        line.classList.toggle("above", score >= threshold);
      }
      track.setAttribute("aria-hidden", "true");
      const value = element("span", shown(score), "score");
      value.dataset.exact = score;
      if (threshold !== undefined && score >= threshold) value.append(element("span", ", above its threshold", "hidden"));
      line.append(name, track, value);
      return line;
    });
    list.replaceChildren(...lines.slice(0, SHOWN_TAGS));
    more.hidden = all.length <= SHOWN_TAGS;
    more.addEventListener("click", () => {
      const whole = more.getAttribute("aria-expanded") === "false";
      list.replaceChildren(...(whole ? lines : lines.slice(0, SHOWN_TAGS)));
      more.setAttribute("aria-expanded", whole);
      more.textContent = whole ? "Show fewer" : "Show all";
    });
  }

  showTable() {
    const table = this.root.querySelector("table");
    const { times_s: times, scores } = this.said.taggram;
    const heading = (text, scope) => Object.assign(element("th", text), { scope });
    const head = element("tr");
    head.append(heading("time", "col"), ...this.rows.map((k) => heading(this.labels[k], "col")));
    const details = this.root.querySelector("details");
    // Long songs have many rows, which are made when somebody wants them.
    details.addEventListener("toggle", () => {
      const body = times.map((time, t) => {
        const line = element("tr");
        line.append(heading(clock(time), "row"), ...this.rows.map((k) => element("td", shown(scores[t][k]))));
        return line;
      });
      table.replaceChildren(head, ...body);
    }, { once: true });
  }

  draw() {
    const { taggram, duration_s: duration } = this.said;
    drawWave(this.root.querySelector(".wave"), this.peaks);
    drawHeat(this.root.querySelector(".heat"), taggram, { labels: this.rows, duration, range: this.range });
  }

  timeAt({ clientX }) {
    const { left, width } = this.plot.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left) / width)) * this.said.duration_s;
  }

  point(time) {
    const pointer = this.root.querySelector(".pointer");
    pointer.hidden = time === null;
    if (time !== null) pointer.style.left = `${(100 * time) / this.said.duration_s}%`;
    this.pointed = time;
    this.tell(time ?? audio.currentTime);
  }

  key(event) {
    const { times_s: times, window_s: window } = this.said.taggram;
    const step = times.length > 1 ? times[1] - times[0] : window;
    const to = {
      ArrowRight: audio.currentTime + step,
      ArrowUp: audio.currentTime + step,
      ArrowLeft: audio.currentTime - step,
      ArrowDown: audio.currentTime - step,
      Home: 0,
      End: this.said.duration_s,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      seek(to);
    } else if (event.key === " ") {
      event.preventDefault();
      if (audio.paused) audio.play();
      else audio.pause();
    }
  }

  follow(time) {
    this.root.querySelector(".cursor").style.left = `${(100 * Math.min(time, this.said.duration_s)) / this.said.duration_s}%`;
    this.plot.setAttribute("aria-valuenow", time.toFixed(1));
    if (this.pointed == null) this.tell(time);
  }

  tell(time) {
    const { times_s: times, scores } = this.said.taggram;
    let nearest = 0;
    times.forEach((t, i) => Math.abs(t - time) < Math.abs(times[nearest] - time) && (nearest = i));
    const tags = this.labels.map((label, k) => [label, scores[nearest][k]]).sort(([, a], [, b]) => b - a);
    const text = `${clock(time)}: ${tags.slice(0, 4).map(([label, s]) => `${label} ${shown(s)}`).join(", ")}`;
    this.root.querySelector(".moment").textContent = text;
    this.plot.setAttribute("aria-valuetext", text);
  }
}

function follow() {
  views.forEach((view) => view.follow(audio.currentTime || 0));
}

function seek(time) {
  const most = Number.isFinite(audio.duration) ? audio.duration : time;
  audio.currentTime = Math.min(most, Math.max(0, time));
  follow();
}

let stopRecording = null;
async function record() {
  const button = $("record");
  if (stopRecording) return stopRecording();
  $("error").hidden = true;
  try {
    stopRecording = await startRecording((file) => {
      stopRecording = null;
      button.textContent = "Record";
      button.setAttribute("aria-pressed", "false");
      listen(file);
    });
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", "true");
    say("Recording, for a minute at most ...");
  } catch {
    complain(new Error("The microphone cannot be used: no access, or there is none."), null);
  }
}

function complain(error, file) {
  if (error instanceof backend.TokenWanted) {
    pending = file;
    $("token-form").hidden = false;
    $("token").focus();
  }
  say("");
  $("error").textContent = file ? `${file.name}: ${error.message}` : error.message;
  $("error").hidden = false;
}

function say(text) {
  $("status").textContent = text;
}

function element(kind, text = "", name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function shown(score) {
  return score.toFixed(Math.abs(score) < 10 ? 2 : 1);
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
