/** The worker of the page: the engine and the runtime beside it, so that painting never waits for a model. */

import { EngineError } from "../errors.js";
import { StaticEngine } from "./engine.js";

/** Where the folder's own files lie, seen from here (static/engine/static/). */
const ROOT = new URL("../../../", import.meta.url);

/** @type {Promise<StaticEngine> | undefined} */
let engine;
/** @type {Map<number, AbortController>} */
const running = new Map();
/** Jobs one after the other: a session is not run twice at a time. @type {Promise<unknown>} */
let turn = Promise.resolve();

async function start() {
  const path = new URL("vendor/ort.wasm.bundle.min.mjs", ROOT).href;
  const [ort, site] = await Promise.all([import(path).catch(() => Promise.reject(lost())), get("site.json").then((bytes) => JSON.parse(new TextDecoder().decode(bytes)))]);
  ort.env.wasm.numThreads = 1; // threads need headers that few hosts of plain files send
  ort.env.wasm.wasmPaths = { wasm: new URL("vendor/ort-wasm-simd-threaded.wasm", ROOT).href };
  ort.env.logLevel = "error";
  const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
  return new StaticEngine(site, get, {
    create: (graph) => ort.InferenceSession.create(new Uint8Array(graph), options),
    tensor: (dtype, data, dims) => new ort.Tensor(dtype, data, dims),
  }, decode);
}

/** @param {string} path */
async function get(path) {
  try {
    const response = await fetch(new URL(path, ROOT));
    if (response.ok) return await response.arrayBuffer();
    throw new EngineError(`A file of this page is missing (${path}, status ${response.status}): the folder was not copied whole.`);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw lost();
  }
}

const lost = () => new EngineError("A file of this page cannot be fetched: there is no connection.", { retry: true, lost: true });

/** Whether the host of the files is there: what is in the browser's cache does not count. */
async function reach() {
  try {
    await fetch(new URL("site.json", ROOT), { method: "HEAD", cache: "no-store" });
  } catch {
    throw lost();
  }
}

/** @param {Blob} blob @returns {Promise<import("./photos.js").Pixels>} */
async function decode(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new EngineError("This file is no picture that the browser reads.");
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.fillStyle = "white";
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

self.onmessage = async ({ data: { id, call, given, stop } }) => {
  if (stop) return void running.get(id)?.abort();
  const control = new AbortController();
  running.set(id, control);
  try {
    const ready = await (engine ??= start().catch((error) => ((engine = undefined), Promise.reject(error))));
    const onProgress = (/** @type {number} */ done, /** @type {number} */ total, /** @type {string} */ text) => self.postMessage({ id, progress: [done, total, text] });
    if (call === "open") await reach();
    const more = call === "run" ? [{ onProgress, signal: control.signal }] : [];
    const work = () => {
      control.signal.throwIfAborted();
      return /** @type {any} */ (ready)[call](...given, ...more);
    };
    const mine = call === "run" ? (turn = turn.then(work, work)) : work();
    const result = await mine;
    self.postMessage({ id, result });
  } catch (error) {
    if (control.signal.aborted) self.postMessage({ id, stopped: true });
    else if (error instanceof EngineError) self.postMessage({ id, error: error.message, retry: error.retry, lost: error.lost });
    else self.postMessage({ id, error: `The model could not be run: ${error instanceof Error ? error.message : error}` });
  } finally {
    running.delete(id);
  }
};
