/** Maps of class numbers: making, counting, comparing. Pure functions. */

/** @typedef {import("./types.js").LabelMap} LabelMap */

/** Most pixels of a side, as on the command line. */
export const LARGEST_SIDE = 8192;

/**
 * @param {number} width
 * @param {number} height
 * @param {string} space
 * @param {number} value every pixel's class
 * @returns {LabelMap}
 */
export function createMap(width, height, space, value) {
  return { width, height, space, labels: new Uint8Array(width * height).fill(value) };
}

/** @param {LabelMap} map @returns {LabelMap} */
export function copyMap(map) {
  return { ...map, labels: map.labels.slice() };
}

/** @param {LabelMap} a @param {LabelMap} b */
export function sameMap(a, b) {
  return (
    a.space === b.space && a.width === b.width && a.height === b.height && a.labels.every((value, i) => value === b.labels[i])
  );
}

/** How many pixels each class has. @param {Uint8Array} labels @param {number} classes @returns {Uint32Array} */
export function countClasses(labels, classes) {
  const counts = new Uint32Array(classes);
  for (let i = 0; i < labels.length; i++) counts[labels[i]]++;
  return counts;
}

/** The classes that a map shows, in their order. @param {LabelMap} map @returns {number[]} */
export function presentClasses(map) {
  const counts = countClasses(map.labels, 256);
  return [...counts.keys()].filter((value) => counts[value] > 0);
}

/** "0 %", "<0.1 %", "12.3 %". @param {number} part @param {number} whole */
export function shareText(part, whole) {
  if (!part || !whole) return "–";
  const share = (100 * part) / whole;
  return share < 0.1 ? "<0.1 %" : `${share.toFixed(1)} %`;
}

/** The number that some label spaces have for pixels without a label. */
export const UNLABELED = 255;

/** A class's name. @param {import("./types.js").Space} space @param {number} value */
export const nameOf = (space, value) => space.classes[value]?.name ?? "unlabeled";

/** Names of the classes that a map shows. @param {LabelMap} map @param {import("./types.js").Space} space */
export const namesIn = (map, space) => presentClasses(map).filter((value) => value < space.classes.length).map((value) => space.classes[value].name);

/**
 * What is wrong with a map that claims to be of a space, as a sentence; null: nothing.
 * @param {LabelMap} map @param {import("./types.js").Space} space
 */
export function mapFault(map, space) {
  const classes = space.classes.length;
  if (!Number.isInteger(map.width) || !Number.isInteger(map.height) || map.width < 1 || map.height < 1)
    return `a map of ${map.width} x ${map.height} pixels is none`;
  if (Math.max(map.width, map.height) > LARGEST_SIDE) return `sides of more than ${LARGEST_SIDE} pixels are not taken`;
  if (map.labels.length !== map.width * map.height)
    return `${map.labels.length} numbers are not ${map.width} x ${map.height} pixels`;
  const beyond = map.labels.find((value) => value >= classes && !(space.ignore && value === UNLABELED));
  return beyond === undefined ? null : `class number ${beyond} is beyond the ${classes} classes of ${map.space}`;
}

/**
 * A map at another size by its nearest pixels (for thumbnails and pairs; never for the truth).
 * @param {LabelMap} map @param {number} width @param {number} height @returns {LabelMap}
 */
export function resizeMap(map, width, height) {
  const out = createMap(width, height, map.space, 0);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * map.height) / height) * map.width;
    for (let x = 0; x < width; x++) out.labels[y * width + x] = map.labels[row + Math.floor(((x + 0.5) * map.width) / width)];
  }
  return out;
}
