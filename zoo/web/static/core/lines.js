/**
 * Brush strokes: the lines of `zoo mask paint` (zoo/files/lines.py) to the pixel, so that a painted map and a typed one are equal.
 *
 * A line of thickness 1 takes one pixel for each step along its longer side. A thicker one is a rectangle around it, half of the
 * thickness to both sides (an odd one rounded up), whose corners lie between pixels, and a disc at each end. Nothing is antialiased.
 * Rounding follows that file line by line: Python's `round` (halves to even) and `int` (toward zero), `//` (down).
 */

/** @typedef {import("./types.js").LabelMap} LabelMap @typedef {import("./types.js").Point} Point */

const ONE = 1 << 16;
const HALF = ONE / 2;
const down = Math.floor;

/** @param {number} x halves go to the even neighbour */
function rounded(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** @param {LabelMap} map @param {number} row @param {number} left @param {number} right both included @param {number} value */
export function span(map, row, left, right, value) {
  if (row < 0 || row >= map.height || right < 0 || left >= map.width) return;
  map.labels.fill(value, row * map.width + Math.max(left, 0), row * map.width + Math.min(right + 1, map.width));
}

/** @param {LabelMap} map @param {Iterable<Point>} points @param {number} value */
function put(map, points, value) {
  for (const [x, y] of points)
    if (x >= 0 && x < map.width && y >= 0 && y < map.height) map.labels[y * map.width + x] = value;
}

/**
 * Write `value` along a line, in place; what lies outside is left out.
 * @param {LabelMap} map @param {Point} start @param {Point} end @param {number} thickness 1 or more pixels @param {number} value
 */
export function drawLine(map, start, end, thickness, value) {
  const { width, height } = map;
  if (thickness <= 1) {
    const part = clipped(start, end, [width - 1, height - 1], 0);
    if (part) put(map, thin(part[0], part[1]), value);
    return;
  }
  const part = clipped(start, end, [width - 1, height - 1], thickness);
  if (!part) return;
  const [from, to] = part;
  if (from[0] !== to[0] || from[1] !== to[1]) {
    const corners = cornersOf(from, to, thickness);
    for (const [row, left, right] of filled(corners)) span(map, row, left, right, value);
    corners.forEach((corner, i) => {
      const side = clipped(corners[(i + corners.length - 1) % corners.length], corner, [width * ONE - 1, height * ONE - 1], 0);
      if (side) put(map, outline(side[0], side[1]), value);
    });
  }
  const radius = down((thickness + 1) / 2);
  for (const [x, y] of [from, to])
    for (let dy = -radius; dy <= radius; dy++) {
      const dx = Math.trunc(Math.sqrt(radius * radius - dy * dy));
      span(map, y + dy, x - dx, x + dx, value);
    }
}

/**
 * `drawLine` from each point to the next, in place; of one point alone a dot.
 * @param {LabelMap} map @param {Point[]} points @param {number} thickness @param {number} value
 */
export function drawPath(map, points, thickness, value) {
  if (points.length === 1) drawLine(map, points[0], points[0], thickness, value);
  for (let i = 1; i < points.length; i++) drawLine(map, points[i - 1], points[i], thickness, value);
}

/**
 * The part of a line within 0 to the limits, both included, and a margin around; null where there is none.
 * @param {Point} start @param {Point} end @param {Point} limits @param {number} margin @returns {[Point, Point] | null}
 */
function clipped(start, end, limits, margin) {
  /** @type {[Point, Point]} */
  const points = [[...start], [...end]];
  for (const axis of [1, 0]) {
    const low = Math.min(points[0][axis], points[1][axis]);
    const high = Math.max(points[0][axis], points[1][axis]);
    if (high < -margin || low > limits[axis] + margin) return null;
    for (const point of points) {
      const bound = Math.min(Math.max(point[axis], -margin), limits[axis] + margin);
      if (bound !== point[axis]) {
        const rise = points[1][1 - axis] - points[0][1 - axis];
        const run = points[1][axis] - points[0][axis];
        point[1 - axis] += Math.trunc(((bound - point[axis]) * rise) / run);
        point[axis] = bound;
      }
    }
  }
  return points;
}

/** From the left end on; half of a pixel goes to the side of that end. @param {Point} start @param {Point} end @returns {Iterable<Point>} */
export function* thin(start, end) {
  if (start[0] > end[0]) [start, end] = [end, start];
  const [x, y] = start;
  const across = end[0] - x;
  const sign = end[1] < y ? -1 : 1;
  const depth = Math.abs(end[1] - y);
  const longer = Math.max(across, depth);
  const shorter = Math.min(across, depth);
  for (let i = 0; i <= longer; i++) {
    const aside = longer ? -down((longer - 2 * i * shorter) / (2 * longer)) : 0;
    yield across >= depth ? [x + i, y + sign * aside] : [x + aside, y + sign * i];
  }
}

/** Of the rectangle, in parts of a pixel. @param {Point} start @param {Point} end @param {number} thickness @returns {Point[]} */
function cornersOf(start, end, thickness) {
  const across = start[0] - end[0];
  const depth = end[1] - start[1];
  const reach = (thickness * HALF + (thickness & 1) * HALF) / Math.sqrt(across * across + depth * depth);
  const x = rounded(depth * reach);
  const y = rounded(across * reach);
  const [a, b, c, d] = [start[0] * ONE, start[1] * ONE, end[0] * ONE, end[1] * ONE];
  return [[a + x, b + y], [a - x, b - y], [c - x, d - y], [c + x, d + y]];
}

/** A line between points in parts of a pixel. @param {Point} start @param {Point} end @returns {Iterable<Point>} */
function* outline(start, end) {
  let across = end[0] - start[0];
  let depth = end[1] - start[1];
  yield [down((end[0] + HALF) / ONE), down((end[1] + HALF) / ONE)];
  if (Math.abs(across) > Math.abs(depth)) {
    if (across < 0) [start, end, depth] = [end, start, -depth];
    const step = Math.trunc((depth * ONE) / (Math.abs(across) | 1));
    for (let i = 0; i <= down((end[0] - start[0]) / ONE); i++)
      yield [down((start[0] + HALF) / ONE) + i, down((start[1] + HALF + i * step) / ONE)];
  } else {
    if (depth < 0) [start, end, across] = [end, start, -across];
    const step = Math.trunc((across * ONE) / (Math.abs(depth) | 1));
    for (let i = 0; i <= down((end[1] - start[1]) / ONE); i++)
      yield [down((start[0] + HALF + i * step) / ONE), down((start[1] + HALF) / ONE) + i];
  }
}

/** (row, left, right) of a convex polygon. @param {Point[]} corners @returns {Iterable<[number, number, number]>} */
function* filled(corners) {
  let top = 0;
  corners.forEach((corner, i) => { if (corner[1] < corners[top][1]) top = i; });
  const rows = corners.map(([, y]) => down((y + HALF) / ONE));
  const sides = [1, corners.length - 1].map((step) => side(corners, rows, top, step));
  for (let row = rows[top]; row <= Math.max(...rows); row++) {
    const places = sides.flatMap((one) => one.get(row) ?? []).sort((a, b) => a - b);
    if (places.length) yield [row, down((places[0] + HALF) / ONE), down((places[places.length - 1] + HALF) / ONE)];
  }
}

/**
 * The column of one side of the polygon in each row, from the top corner down.
 * @param {Point[]} corners @param {number[]} rows @param {number} top @param {number} step @returns {Map<number, number>}
 */
function side(corners, rows, top, step) {
  const found = new Map();
  const last = Math.max(...rows);
  let at = top;
  while (rows[at] < last) {
    const following = (at + step) % corners.length;
    const height = rows[following] - rows[at];
    if (height > 0) {
      const slope = Math.trunc((2 * (corners[following][0] - corners[at][0]) + height) / (2 * height));
      for (let i = 0; i <= height; i++) found.set(rows[at] + i, corners[at][0] + i * slope);
    }
    at = following;
  }
  return found;
}
