// The page: what its controls mean, and one image at a time, always of the newest wish.

import { download } from "./download.js";
import { latent, MAX_SEED, moved, slerp } from "./latents.js";
import { Generator, oneHot, readNumbers } from "./generator.js";

const SECONDS_A_FACE = 4; // of playing
const SLOW_MS = 250; // above this a graphics processor is worth loading its 27 MB for

const by = (id) => document.getElementById(id);
const page = await (await fetch("page.json", { cache: "no-cache" })).json();
const context = by("face").getContext("2d", { willReadFrequently: true }); // pixels come from and go to this side
const state = { seed: 0, target: 1, way: 0, label: oneHot(page, 0), typed: "", amounts: new Array(page.directions).fill(0) };
let generator, model, references, directions;

// What is shown: the face of a seed, some way to another one, moved along the directions.

function currentLatent() {
  const from = latent(state.seed, page.latent_size);
  const there = state.way ? slerp(from, latent(state.target, page.latent_size), state.way) : from;
  return moved(there, directions, state.amounts);
}

function describe() {
  const way = state.way ? `, ${Math.round(state.way * 100)} % of the way to seed ${state.target}` : "";
  const changed = state.amounts.some(Boolean) ? ", changed" : "";
  const label = state.typed ? `, label ${state.typed}` : "";
  return `Face of seed ${state.seed}${way}${label}${changed}`;
}

let generating = null;
let wanted = false;

// Generate the newest wish; wishes that come meanwhile are one wish. Resolves when what is shown is what was wished.
function show() {
  wanted = true;
  generating ??= (async () => {
    try {
      while (wanted) {
        wanted = false;
        const text = describe();
        by("face").setAttribute("aria-busy", "true");
        const { pixels, milliseconds } = await generator.generate(currentLatent(), state.label);
        context.putImageData(new ImageData(pixels, page.resolution, page.resolution), 0, 0);
        by("face").setAttribute("aria-label", text);
        if (!playing) by("status").textContent = text; // read aloud, so not for every image of a film
        by("timing").textContent = `${Math.round(milliseconds)} ms by ${generator.backend === "wasm" ? "WebAssembly" : "WebGPU"}`;
      }
    } catch (error) {
      by("status").textContent = `This face could not be generated: ${error.message}`;
      if (generator.backend === "webgpu") setTimeout(leaveGraphics, 0, error); // out of memory, or another page's turn
    } finally {
      by("face").setAttribute("aria-busy", "false");
      generating = null;
    }
  })();
  return generating;
}

// Seeds.

// Call use(seed) with what was typed, or say what is wanted.
function readSeed(input, use) {
  const seed = Number(input.value);
  const valid = input.value.trim() !== "" && Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED;
  input.setAttribute("aria-invalid", String(!valid));
  if (valid) use(seed);
  else by("status").textContent = `A seed is an integer from 0 to ${MAX_SEED}.`;
}

function setSeed(seed) {
  state.seed = seed;
  setWay(0);
  by("seed").value = seed;
  by("seed").setAttribute("aria-invalid", "false"); // whatever was typed there before
  history.replaceState(null, "", `#seed=${seed}`); // the address is the face: it can be sent to a friend
  return show();
}

function setTarget(seed) {
  state.target = seed;
  by("target").value = seed;
}

function setWay(way) {
  state.way = way;
  by("way").value = way;
  by("way-value").textContent = `${Math.round(way * 100)} %`;
}

const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
const seedOfAddress = () => Number(/^#seed=([0-9]{1,10})$/.exec(location.hash)?.[1] ?? 0) % (MAX_SEED + 1);

// The label: a class, or all its numbers.

function makeLabel() {
  by("label-row").hidden = by("numbers-row").hidden = !page.label_size;
  page.label_names.forEach((name, i) => by("label").add(new Option(name, i)));
  by("label").value = 0;
  if (page.label_size) showNumbers();
}

function showNumbers() {
  by("numbers").value = state.label.join(",");
  by("numbers").setAttribute("aria-invalid", "false");
}

function setClass(text) {
  state.label = oneHot(page, Number(text));
  state.typed = "";
  showNumbers();
  return show();
}

function setNumbers(text) {
  const label = readNumbers(text, page.label_size);
  by("numbers").setAttribute("aria-invalid", String(!label));
  if (!label) {
    by("status").textContent = `A label is ${page.label_size} numbers with commas.`;
    return;
  }
  state.label = label;
  const chosen = label.indexOf(1);
  const isClass = chosen >= 0 && label.every((value, i) => value === (i === chosen ? 1 : 0));
  by("label").value = isClass ? chosen : "";
  state.typed = isClass ? "" : text.trim();
  show();
}

// Sliders along the directions.

function makeSliders() {
  by("directions").hidden = page.directions === 0;
  for (let k = 0; k < page.directions; k++) {
    const row = document.createElement("div");
    row.className = "slider";
    row.innerHTML = `<label for="d${k}">Direction ${k + 1}</label>
      <output for="d${k}">0.0</output><input id="d${k}" type="range" min="-4" max="4" step="0.1" value="0" />`;
    by("sliders").append(row);
    row.querySelector("input").addEventListener("input", (event) => setAmount(k, Number(event.target.value)));
  }
}

function setAmount(k, amount) {
  state.amounts[k] = amount;
  by(`d${k}`).value = amount;
  by(`d${k}`).previousElementSibling.textContent = amount.toFixed(1);
  return show();
}

// Playing: on to the other face, and from there to one that nobody has seen.

let playing = false;

async function play() {
  playing = !playing;
  by("play").textContent = playing ? "Pause" : "Play";
  by("play").setAttribute("aria-pressed", String(playing));
  if (!playing) return show();
  by("status").textContent = "Playing";
  let before = performance.now();
  while (playing) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    const step = Math.min((now - before) / 1000 / SECONDS_A_FACE, 1 / 12); // a slow device plays slower, not jumpier
    before = now;
    if (state.way + step >= 1) {
      setSeed(state.target);
      setTarget(randomSeed());
    } else setWay(state.way + step);
    await show();
  }
}

// Saving.

function save() {
  by("face").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${describe().replace("Face of ", "").replace(/[^0-9a-z]+/g, "-")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    by("status").textContent = `Saved as ${link.download}`;
  });
}

// What it runs on.

async function useBackend(backend, onProgress) {
  by("backend-note").textContent = backend === "webgpu" ? "Loading, then checking its images …" : "";
  try {
    if (backend === "webgpu" && !(await navigator.gpu?.requestAdapter())) throw new Error("there is none here");
    const checks = backend === "wasm" ? 1 : page.references.length;
    const better = await Generator.start({ backend, page, model, references, checks, onProgress });
    const before = generator;
    generator = better;
    await generating?.catch(() => {});
    before?.stop();
    by("backend-note").textContent = backend === "webgpu" ? "Its images passed the check." : "";
  } catch (error) {
    if (backend === "wasm") throw error;
    by("backend-note").textContent = `WebGPU is not used: ${error.message}.`;
  }
  by("backend").value = generator.backend;
}

async function leaveGraphics(error) {
  await useBackend("wasm");
  by("backend-note").textContent = `WebGPU stopped: ${error.message}.`;
  await show();
}

// Start.

function listen() {
  const on = (id, event, listener) => by(id).addEventListener(event, listener);
  on("controls", "submit", (event) => event.preventDefault());
  on("seed", "change", () => readSeed(by("seed"), setSeed));
  on("previous", "click", () => setSeed(Math.max(0, state.seed - 1)));
  on("next", "click", () => setSeed(Math.min(MAX_SEED, state.seed + 1)));
  on("random", "click", () => setSeed(randomSeed()));
  on("label", "change", () => setClass(by("label").value));
  on("numbers", "change", () => setNumbers(by("numbers").value));
  on("reset", "click", () => state.amounts.forEach((_, k) => setAmount(k, 0)));
  on("target", "change", () => readSeed(by("target"), (seed) => show(setTarget(seed))));
  on("way", "input", () => show(setWay(Number(by("way").value))));
  on("play", "click", play);
  on("save", "click", save);
  on("backend", "change", () => useBackend(by("backend").value).then(show));
  window.addEventListener("hashchange", () => setSeed(seedOfAddress()));
}

async function start() {
  makeSliders();
  makeLabel();

  const [modelBytes, wasmBytes] = [page.files["model.onnx"], page.runtime.wasm.wasm_bytes];
  const onProgress = (received) => (by("progress").value = received / (modelBytes + wasmBytes));
  model = await download("model.onnx", modelBytes, onProgress);
  references = new Uint8Array(await download("references.bin", page.files["references.bin"]));
  directions = new Float32Array(await download("directions.bin", page.files["directions.bin"]));
  by("status").textContent = "Starting and checking WebAssembly …";
  await useBackend("wasm", (part) => onProgress(modelBytes + part * wasmBytes));

  listen();
  for (const fieldset of document.querySelectorAll("fieldset")) fieldset.disabled = false;
  by("progress").hidden = true;
  await setSeed(seedOfAddress());
  document.body.dataset.ready = "yes";
  if (generator.milliseconds > SLOW_MS && navigator.gpu) await useBackend("webgpu").then(show);
}

start().catch((error) => window.stopWith(`The generator could not be started: ${error.message}.`));
