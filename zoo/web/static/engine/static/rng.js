/** The zoo's keyed random numbers (docs/design.md, "Randomness"): SHAKE-256 of a JSON text, uniform, then the normal quantile. */

import { ndtri } from "./ndtri.js";
import { shake256 } from "./vendor/sha3.js";

/** @typedef {(string | number)[]} Key */

/** A text as Python's json.dumps writes it. @param {string} text */
const quoted = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (c) => (c === "\u007f" ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`));

/** The stream of one sample. */
export class Rng {
  /** @param {number} seed @param {number} [sample] @param {Key} [prefix] */
  constructor(seed, sample = 0, prefix = []) {
    this.seed = seed;
    this.sample = sample;
    this.prefix = prefix;
  }

  /** The same stream with `key` before every further key. @param {Key} key */
  within(...key) {
    return new Rng(this.seed, this.sample, [...this.prefix, ...key]);
  }

  /** @param {Key} key @param {number} count @returns {Float64Array} uniform in (0, 1) */
  uniform(key, count) {
    const parts = [this.seed, this.sample, ...this.prefix, ...key].map((part) => (typeof part === "number" ? String(part) : quoted(part)));
    const bytes = shake256(new TextEncoder().encode(`[${parts.join(", ")}]`), { dkLen: 4 * count });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Float64Array.from({ length: count }, (_, i) => (view.getUint32(4 * i, true) + 0.5) * 2 ** -32);
  }

  /** @param {Key} key @param {number} count @returns {Float32Array} standard normals */
  normal(key, count) {
    return Float32Array.from(this.uniform(key, count), ndtri);
  }

  /** An input `normal` of a graph: one key for all numbers, or one a row. @param {Key[]} keys @param {number} count */
  normals(keys, count) {
    if (keys.length === 1) return this.normal(keys[0], count);
    const row = count / keys.length;
    const out = new Float32Array(count);
    keys.forEach((key, i) => out.set(this.normal(key, row), i * row));
    return out;
  }
}
