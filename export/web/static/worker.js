// The generator on a thread of its own: onnxruntime-web, by WebAssembly or by WebGPU, from latents to pixels.

import { download } from "./download.js";

let ort, session;

// build: {api, loader, wasm, wasm_bytes} of page.json; backend: "wasm" or "webgpu"; model: the .onnx, ArrayBuffer.
async function load({ backend, build, model }) {
  const url = (file) => new URL(`runtime/${file}`, import.meta.url).href;
  const wasmBinary = await download(url(build.wasm), build.wasm_bytes, (received, total) =>
    postMessage({ progress: received / total }),
  );
  ort = await import(url(build.api));
  ort.env.wasm.numThreads = 1; // more need headers that a plain static server does not send
  ort.env.wasm.wasmBinary = wasmBinary;
  ort.env.wasm.wasmPaths = { mjs: url(build.loader) };
  session = await ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: [backend],
    logSeverityLevel: 3,
  });
}

// z: Float32Array (size); label: Float32Array or null. Returns the image as RGBA bytes, and the milliseconds.
async function generate({ z, label }) {
  const feeds = { z: new ort.Tensor("float32", z, [1, z.length]) };
  if (label) feeds.label = new ort.Tensor("float32", label, [1, label.length]);
  const start = performance.now();
  const { images } = await session.run(feeds);
  const milliseconds = performance.now() - start;
  const [, channels, height, width] = images.dims;
  return { pixels: toPixels(await images.getData(), channels, height * width), milliseconds };
}

// [-1, 1] spans [0, 255], as in export/sample.py: a clamped array rounds halves to even, as numpy does.
function toPixels(image, channels, area) {
  const pixels = new Uint8ClampedArray(4 * area).fill(255);
  for (let c = 0; c < 3; c++) {
    const plane = Math.min(c, channels - 1) * area; // gray: the one channel three times
    for (let i = 0; i < area; i++) pixels[4 * i + c] = Math.fround(image[plane + i] * 127.5) + 127.5;
  }
  return pixels;
}

onmessage = async ({ data: { id, task, ...options } }) => {
  try {
    const result = await { load, generate }[task](options);
    postMessage({ id, result }, result ? [result.pixels.buffer] : []);
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
};
