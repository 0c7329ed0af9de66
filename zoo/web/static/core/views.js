/** Zoom and pan: screen = map * scale + (x, y), all in CSS pixels. Pure functions. */

/** @typedef {import("./types.js").View} View @typedef {import("./types.js").Point} Point */

export const LARGEST_SCALE = 64;
export const SMALLEST_SCALE = 0.05;

/** The whole map in the middle of a pane. @param {number} width @param {number} height @param {number} w the pane's @param {number} h @returns {View} */
export function fitted(width, height, w, h) {
  const scale = Math.max(Math.min(w / width, h / height), SMALLEST_SCALE);
  return { scale, x: (w - width * scale) / 2, y: (h - height * scale) / 2 };
}

/** The point under (x, y) stays. @param {View} view @param {number} factor @param {number} x @param {number} y @returns {View} */
export function zoomed(view, factor, x, y) {
  const scale = Math.min(Math.max(view.scale * factor, SMALLEST_SCALE), LARGEST_SCALE);
  const real = scale / view.scale;
  return { scale, x: x - (x - view.x) * real, y: y - (y - view.y) * real };
}

/**
 * Moved, but never so far that the map leaves the pane.
 * @param {View} view @param {number} dx @param {number} dy @param {{width: number, height: number}} map @param {number} w @param {number} h
 * @returns {View}
 */
export function panned(view, dx, dy, map, w, h) {
  const rest = 24;
  const x = Math.min(Math.max(view.x + dx, rest - map.width * view.scale), w - rest);
  const y = Math.min(Math.max(view.y + dy, rest - map.height * view.scale), h - rest);
  return { ...view, x, y };
}

/** The pixel of the map under a place on the screen; may lie outside. @param {View} view @param {number} x @param {number} y @returns {Point} */
export const toPixel = (view, x, y) => [Math.floor((x - view.x) / view.scale), Math.floor((y - view.y) / view.scale)];

/** The middle of a pixel on the screen. @param {View} view @param {Point} pixel @returns {Point} */
export const toScreen = (view, [x, y]) => [(x + 0.5) * view.scale + view.x, (y + 0.5) * view.scale + view.y];
