/** Maps as colours. Pure functions. */

/** @typedef {import("./types.js").ClassInfo} ClassInfo */

/** "#rrggbb" as three bytes. @param {string} text @returns {[number, number, number]} */
export function rgb(text) {
  const number = parseInt(text.slice(1), 16);
  return [(number >> 16) & 255, (number >> 8) & 255, number & 255];
}

/** 256 entries of three bytes; numbers beyond the classes are magenta. @param {ClassInfo[]} classes */
export function paletteBytes(classes) {
  const bytes = new Uint8Array(768);
  for (let i = 0; i < 256; i++) bytes.set(i < classes.length ? rgb(classes[i].color) : [255, 0, 255], 3 * i);
  return bytes;
}

/**
 * RGBA of a map, each class opaque or hidden.
 * @param {Uint8Array} labels @param {Uint8Array} palette of `paletteBytes` @param {Set<number>} [hidden]
 * @returns {Uint8ClampedArray<ArrayBuffer>}
 */
export function colored(labels, palette, hidden) {
  const table = new Uint32Array(256);
  const bytes = new Uint8Array(table.buffer);
  for (let i = 0; i < 256; i++) bytes.set([palette[3 * i], palette[3 * i + 1], palette[3 * i + 2], hidden?.has(i) ? 0 : 255], 4 * i);
  const pixels = new Uint32Array(labels.length);
  for (let i = 0; i < labels.length; i++) pixels[i] = table[labels[i]];
  return new Uint8ClampedArray(pixels.buffer);
}
