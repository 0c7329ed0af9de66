/** The engine of the page without a server: everything runs in a worker. */

import { EngineError } from "../errors.js";

/** @typedef {import("../../core/types.js").Engine} Engine @typedef {import("../../core/types.js").RunOptions} RunOptions */

class WorkerEngine {
  constructor() {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.calls = 0;
    /** @type {Map<number, {resolve: (value: any) => void, reject: (error: unknown) => void, onProgress?: RunOptions["onProgress"]}>} */
    this.open_ = new Map();
    this.worker.onmessage = ({ data }) => this.heard(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      for (const call of this.open_.values()) call.reject(new EngineError(`The models could not be started in this browser (${event.message || "no module worker"}).`));
      this.open_.clear();
    };
  }

  /** @param {any} message */
  heard({ id, progress, result, error, retry, stopped }) {
    const call = this.open_.get(id);
    if (!call) return;
    if (progress) return void call.onProgress?.(progress[0], progress[1], progress[2]);
    this.open_.delete(id);
    if (stopped) call.reject(new DOMException("cancelled", "AbortError"));
    else if (error) call.reject(new EngineError(error, { retry }));
    else call.resolve(result);
  }

  /** @param {string} call @param {any[]} given @param {RunOptions} [options] @returns {Promise<any>} */
  ask(call, given, { onProgress, signal } = {}) {
    const id = ++this.calls;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new DOMException("cancelled", "AbortError"));
      this.open_.set(id, { resolve, reject, onProgress });
      this.worker.postMessage({ id, call, given });
      signal?.addEventListener("abort", () => {
        this.worker.postMessage({ id, stop: true });
        // the worker may be in the middle of a network: the page does not wait for it
        if (this.open_.delete(id)) reject(new DOMException("cancelled", "AbortError"));
      }, { once: true });
    });
  }

  open() {
    return this.ask("open", []);
  }

  /** @param {Blob} blob */
  addPhoto(blob) {
    return this.ask("addPhoto", [blob]);
  }

  /** @param {Blob} blob @param {string} name */
  addMap(blob, name) {
    return this.ask("addMap", [blob, name]);
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
