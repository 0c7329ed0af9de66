/** Bytes and maps as text. */

/** @typedef {import("./types.js").LabelMap} LabelMap */

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** Throws a RangeError for what is no base64. @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    throw new RangeError("this is no base64");
  }
}

/** A copy of a value with every map's labels as base64. @param {any} value @returns {any} */
export function toWire(value) {
  if (value instanceof Uint8Array) return toBase64(value);
  if (Array.isArray(value)) return value.map(toWire);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toWire(entry)]));
}

/** @param {{width: number, height: number, space: string, labels: string}} wire @returns {LabelMap} */
export const mapFromWire = (wire) => ({ ...wire, labels: fromBase64(wire.labels) });
