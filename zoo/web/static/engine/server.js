/** The engine that asks the server of `zoo ui`. */

import { fromBase64, mapFromWire, toWire } from "../core/wire.js";
import { EngineError } from "./errors.js";

/** @typedef {import("../core/types.js").Job} Job @typedef {import("../core/types.js").RunOptions} RunOptions */
/** @typedef {import("../core/types.js").Facts} Facts @typedef {import("../core/types.js").MapResult} MapResult */

const TOKEN = "zoo-token";

/** The token of the address, which is then taken out of it. */
export function takeToken() {
  const address = new URL(location.href);
  const token = address.searchParams.get("token");
  if (token) {
    sessionStorage.setItem(TOKEN, token);
    address.searchParams.delete("token");
    history.replaceState(null, "", address);
  }
  return sessionStorage.getItem(TOKEN) ?? "";
}

export class ServerEngine {
  /** @param {string} session @param {string} token @param {typeof fetch} [get] */
  constructor(session, token, get = (...all) => fetch(...all)) {
    this.headers = { Authorization: `Bearer ${token}`, "X-Zoo-Session": session };
    this.get = get;
    /** @type {Map<string, Blob>} photos that the server may ask for again */
    this.photos = new Map();
  }

  /** @returns {Promise<Facts>} */
  async open() {
    return (await this.call("api/facts", {})).json();
  }

  /** @param {Blob} blob */
  async addPhoto(blob) {
    const answer = await (await this.call("api/photos", { method: "POST", body: blob })).json();
    this.photos.set(answer.photo, blob);
    return answer;
  }

  /** @param {Blob} blob @param {string} name @param {string} [read] the label space of its numbers @returns {Promise<MapResult>} */
  async addMap(blob, name, read = "") {
    const answer = await (await this.call(`api/maps?name=${encodeURIComponent(name)}&read=${encodeURIComponent(read)}`, { method: "POST", body: blob })).json();
    return { ...answer, map: mapFromWire(answer.map) };
  }

  /** @param {Job} job @param {RunOptions} [options] @returns {Promise<any>} */
  async run(job, options = {}) {
    try {
      return await this.once(job, options);
    } catch (error) {
      if (!(error instanceof MissingPhotos)) throw error;
      const blobs = error.missing.map((id) => this.photos.get(id));
      if (blobs.includes(undefined)) throw new EngineError("The server has forgotten a photo that this page has not either: drop it in again.");
      for (const blob of blobs) await this.addPhoto(/** @type {Blob} */ (blob));
      return this.once(job, options);
    }
  }

  /** @param {Job} job @param {RunOptions} options */
  async once(job, { onProgress, signal }) {
    const body = JSON.stringify(toWire(job));
    const response = await this.call("api/run", { method: "POST", body, signal, headers: { "Content-Type": "application/json" } });
    for await (const line of lines(response, signal)) {
      if (line.progress) onProgress?.(line.progress[0], line.progress[1], line.text ?? "");
      if (line.error) throw problem(line);
      if (line.result) return fromResult(line.result);
    }
    throw new EngineError("The server ended before the job was done.", { retry: true, lost: true });
  }

  /** @param {string} path @param {RequestInit} init @returns {Promise<Response>} */
  async call(path, init) {
    let response;
    try {
      response = await this.get(path, { ...init, headers: { ...this.headers, ...init.headers }, cache: "no-store" });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw lostConnection();
    }
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    if (response.status === 401) {
      throw new EngineError("The server does not know this page any more: open the address that zoo ui printed when it started. Your work waits here.", { token: true });
    }
    if (answer.missing) throw new MissingPhotos(answer.missing);
    throw new EngineError(answer.error ?? `The server answered with status ${response.status}.`, { retry: response.status === 429 });
  }
}

class MissingPhotos extends Error {
  /** @param {string[]} missing */
  constructor(missing) {
    super("photos are missing");
    this.missing = missing;
  }
}

const lostConnection = () => new EngineError("There is no connection to the server.", { retry: true, lost: true });

/** @param {{error: string, retry?: boolean, cancelled?: boolean, missing?: string[]}} line */
const problem = (line) => (line.missing ? new MissingPhotos(line.missing) : new EngineError(line.error, { retry: line.retry, cancelled: line.cancelled }));

/** @param {any} result */
function fromResult(result) {
  if (result.maps) return { ...result, maps: result.maps.map(mapFromWire) };
  if (result.map) return { ...result, map: mapFromWire(result.map) };
  return { ...result, image: new Blob([fromBase64(result.image)], { type: "image/png" }) };
}

/** JSON lines as they come. @param {Response} response @param {AbortSignal} [signal] */
async function* lines(response, signal) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw lostConnection();
    }
    text += decoder.decode(part.value, { stream: !part.done });
    const whole = text.split("\n");
    text = whole.pop() ?? "";
    for (const line of whole) if (line.trim()) yield JSON.parse(line);
    if (part.done) return;
  }
}
