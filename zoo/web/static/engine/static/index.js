/** The engine of the page without a server: everything runs in a worker. */

import { EngineError } from "../errors.js";

/** @typedef {import("../../core/types.js").Engine} Engine @typedef {import("../../core/types.js").RunOptions} RunOptions */

class WorkerEngine {
  constructor() {
    this.calls = 0;
    this.opened = false;
    /** @type {Worker | null} */
    this.worker = null;
    /** @type {Map<string, Blob>} photos that a new worker must have */
    this.photos = new Map();
    /** @type {Map<number, {resolve: (value: any) => void, reject: (error: unknown) => void, onProgress?: RunOptions["onProgress"]}>} */
    this.open_ = new Map();
  }

  /** A worker; another one after the last has died. */
  begun() {
    if (this.worker) return this.worker;
    const worker = (this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
    worker.onmessage = ({ data }) => this.heard(data);
    worker.onerror = (event) => {
      event.preventDefault();
      worker.terminate();
      this.worker = null;
      for (const call of this.open_.values()) call.reject(new EngineError(`The models could not be started in this browser (${event.message || "the worker did not load"}).`, { retry: true, lost: !event.message }));
      this.open_.clear();
    };
    for (const blob of this.photos.values()) worker.postMessage({ id: ++this.calls, call: "addPhoto", given: [blob] });
    return worker;
  }

  /** @param {any} message */
  heard({ id, progress, result, error, retry, lost, stopped }) {
    const call = this.open_.get(id);
    if (!call) return;
    if (progress) return void call.onProgress?.(progress[0], progress[1], progress[2]);
    this.open_.delete(id);
    if (stopped) call.reject(new DOMException("cancelled", "AbortError"));
    else if (error) call.reject(new EngineError(error, { retry, lost }));
    else call.resolve(result);
  }

  /** @param {string} call @param {any[]} given @param {RunOptions} [options] @returns {Promise<any>} */
  ask(call, given, { onProgress, signal } = {}) {
    const id = ++this.calls;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new DOMException("cancelled", "AbortError"));
      const worker = this.begun();
      this.open_.set(id, { resolve, reject, onProgress });
      worker.postMessage({ id, call, given });
      signal?.addEventListener("abort", () => {
        worker.postMessage({ id, stop: true });
        // the worker may be in the middle of a network: the page does not wait for it
        if (this.open_.delete(id)) reject(new DOMException("cancelled", "AbortError"));
      }, { once: true });
    });
  }

  async open() {
    try {
      const facts = await this.ask("open", []);
      this.opened = true;
      return facts;
    } catch (error) {
      // a browser may remember that a module could not be loaded: another worker tries afresh
      if (error instanceof EngineError && error.lost && !this.opened) {
        this.worker?.terminate();
        this.worker = null;
      }
      throw error;
    }
  }

  /** @param {Blob} blob */
  async addPhoto(blob) {
    const added = await this.ask("addPhoto", [blob]);
    this.photos.set(added.photo, blob);
    return added;
  }

  /** @param {Blob} blob @param {string} name @param {string} [read] */
  addMap(blob, name, read) {
    return this.ask("addMap", [blob, name, read]);
  }

  /** @param {import("../../core/types.js").Job} job @param {RunOptions} [options] */
  run(job, options) {
    return this.ask("run", [job], options);
  }
}

/** @returns {Promise<Engine>} */
export async function openEngine() {
  return new WorkerEngine();
}
