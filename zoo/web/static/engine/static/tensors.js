/** Tensors as plain arrays with their sizes, batch first. */

/**
 * @typedef {{data: Float32Array | Int32Array, dims: number[]}} Tensor
 */

/** @param {number[]} dims */
export const sizeOf = (dims) => dims.reduce((product, n) => product * n, 1);

/** @param {number[]} dims @param {ArrayLike<number>} [data] @returns {Tensor} float32; zeros without data */
export const floats = (dims, data) => ({ data: data ? Float32Array.from(data) : new Float32Array(sizeOf(dims)), dims });

/** A map as an input of a graph. @param {{width: number, height: number, labels: Uint8Array}} map @returns {Tensor} */
export const mapTensor = (map) => ({ data: Int32Array.from(map.labels), dims: [1, map.height, map.width] });

/** A number for each name, 1 for those chosen. @param {readonly string[]} names @param {Iterable<string>} chosen */
export function flags(names, chosen) {
  const wanted = new Set(chosen);
  return floats([1, names.length], names.map((name) => (wanted.has(name) ? 1 : 0)));
}

/** (1 - t) a + t b, rounded once as torch does. @param {number} a @param {number} b @param {number} t */
export const lerp = (a, b, t) => (t < 0.5 ? a + t * (b - a) : b - (b - a) * (1 - t));

/**
 * The tensors of a safetensors file, float32 and int32.
 * @param {ArrayBuffer} buffer
 * @returns {Record<string, Tensor>}
 */
export function readSafetensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  delete head.__metadata__;
  /** @type {Record<string, Tensor>} */
  const out = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(head)) {
    const part = buffer.slice(8 + length + from, 8 + length + to);
    out[name] = { data: dtype === "I32" ? new Int32Array(part) : new Float32Array(part), dims: shape };
  }
  return out;
}
