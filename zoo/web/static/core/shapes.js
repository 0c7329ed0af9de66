/** Filled shapes and floods on maps of class numbers, in place. Points are whole pixels and may lie outside. */

import { drawPath, span } from "./lines.js";

/** @typedef {import("./types.js").LabelMap} LabelMap @typedef {import("./types.js").Point} Point */

/** Both corners included. @param {LabelMap} map @param {Point} a @param {Point} b @param {number} value */
export function drawRectangle(map, a, b, value) {
  const [left, right] = [Math.min(a[0], b[0]), Math.max(a[0], b[0])];
  const bottom = Math.min(Math.max(a[1], b[1]), map.height - 1);
  for (let row = Math.max(Math.min(a[1], b[1]), 0); row <= bottom; row++) span(map, row, left, right, value);
}

/**
 * A polygon (or a lasso) by the even-odd rule at the pixels' centres, and its border, so that none is empty.
 * @param {LabelMap} map @param {Point[]} points @param {number} value
 */
export function drawPolygon(map, points, value) {
  if (!points.length) return;
  const rows = points.map(([, y]) => y);
  const bottom = Math.min(Math.max(...rows), map.height - 1);
  for (let row = Math.max(Math.min(...rows), 0); row <= bottom; row++) {
    const cuts = crossings(points, row);
    for (let i = 0; i + 1 < cuts.length; i += 2) span(map, row, Math.ceil(cuts[i]), Math.floor(cuts[i + 1]), value);
  }
  drawPath(map, points.length > 1 ? [...points, points[0]] : points, 1, value);
}

/** Where the sides cross a row, from left to right. @param {Point[]} points @param {number} row */
function crossings(points, row) {
  const cuts = [];
  for (let i = 0; i < points.length; i++) {
    const [a, b] = points[i];
    const [c, d] = points[(i + 1) % points.length];
    if (b <= row !== d <= row) cuts.push(a + ((row - b) * (c - a)) / (d - b));
  }
  return cuts.sort((one, other) => one - other);
}

/**
 * Give the connected region (4 neighbours) of one class around a pixel another class; every pixel of the class where `everywhere`.
 * @param {LabelMap} map @param {Point} at @param {number} value @param {boolean} [everywhere]
 */
export function fill(map, [x, y], value, everywhere = false) {
  const { width, height, labels } = map;
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  const old = labels[y * width + x];
  if (old === value) return;
  if (everywhere) {
    for (let i = 0; i < labels.length; i++) if (labels[i] === old) labels[i] = value;
    return;
  }
  const waiting = [y * width + x];
  while (waiting.length) {
    const seed = /** @type {number} */ (waiting.pop());
    if (labels[seed] !== old) continue;
    const row = seed - (seed % width);
    let left = seed;
    let right = seed;
    while (left > row && labels[left - 1] === old) left--;
    while (right < row + width - 1 && labels[right + 1] === old) right++;
    labels.fill(value, left, right + 1);
    for (const next of [left - width, left + width]) {
      if (next < 0 || next >= labels.length) continue;
      for (let i = next; i <= next + right - left; i++)
        if (labels[i] === old && (i === next || labels[i - 1] !== old)) waiting.push(i);
    }
  }
}

/** The class at a pixel; null outside. @param {LabelMap} map @param {Point} at */
export function pick(map, [x, y]) {
  return x < 0 || y < 0 || x >= map.width || y >= map.height ? null : map.labels[y * map.width + x];
}
