// The page's side of worker.js: start a generator, check it against reference images, generate.

import { latent } from "./latents.js";

const CHECK_LIMIT_MS = 60_000;

export class Generator {
  #worker;
  #waiting = new Map();
  #next = 0;
  #onProgress;

  // Start one and prove it on the first `checks` reference images; rejects, with the reason, when it cannot be trusted.
  // backend: "wasm" or "webgpu"; page: page.json; model: ArrayBuffer; references: Uint8Array (n, R, R, C).
  static async start({ backend, page, model, references, checks, onProgress = () => {} }) {
    const generator = new Generator(backend, onProgress);
    try {
      await generator.#ask({ task: "load", backend, build: page.runtime[backend], model });
      const check = generator.#check(page, references, checks);
      // WebAssembly may take its time, there is nothing else to generate with
      await (backend === "wasm" ? check : Promise.race([check, generator.#outOfTime()]));
    } catch (error) {
      generator.stop();
      throw error;
    }
    return generator;
  }

  constructor(backend, onProgress) {
    this.backend = backend;
    this.milliseconds = NaN; // of the last image
    this.#onProgress = onProgress;
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data: { id, result, error, progress } }) => {
      if (progress !== undefined) return this.#onProgress(progress);
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) reject(new Error(error));
      else resolve(result);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(event.message || "worker.js could not be loaded"));
    };
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #ask(message) {
    return new Promise((resolve, reject) => {
      this.#waiting.set(this.#next, { resolve, reject });
      this.#worker.postMessage({ id: this.#next++, ...message });
    });
  }

  // Generate z (Float32Array) and label (Float32Array or null): {pixels: RGBA bytes, milliseconds}.
  async generate(z, label) {
    const image = await this.#ask({ task: "generate", z, label });
    this.milliseconds = image.milliseconds;
    return image;
  }

  // The images that onnxruntime generated when this page was made: within one gray level, or it is not used. WebGPU's
  // Conv with LeakyRelu has been wrong (microsoft/onnxruntime issues 24070 and 19816).
  async #check(page, references, checks) {
    const size = page.channels * page.resolution ** 2;
    let worst = 0;
    for (let n = 0; n < checks; n++) {
      const { seed, scale } = page.references[n];
      const z = latent(seed, page.latent_size).map((value) => value * scale);
      const { pixels } = await this.generate(z, oneHot(page, 0));
      for (let i = 0; i < size; i++) {
        const ours = pixels[4 * Math.floor(i / page.channels) + (i % page.channels)];
        worst = Math.max(worst, Math.abs(ours - references[n * size + i]));
      }
    }
    if (worst > 1) throw new Error(`its images are wrong by ${worst} of 255 gray levels`);
  }

  #outOfTime() {
    const error = new Error("it did not generate the images of its check within a minute");
    return new Promise((_, reject) => setTimeout(() => reject(error), CHECK_LIMIT_MS));
  }

  stop() {
    this.#worker.terminate();
    this.#fail(new Error("stopped"));
  }
}

// The label vector of a class, null where the model is unconditional.
export function oneHot(page, label) {
  if (!page.label_size) return null;
  return Float32Array.from({ length: page.label_size }, (_, i) => (i === label ? 1 : 0));
}

// The label vector that "0.3,-1" spells, null where it is not that many finite numbers.
export function readNumbers(text, size) {
  const words = text.split(/\s*,\s*|\s+/).filter(Boolean);
  const numbers = words.map((word) => (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(word) ? Number(word) : NaN));
  const label = Float32Array.from(numbers);
  return label.length === size && label.every(Number.isFinite) ? label : null;
}
