/** Photos and scores at another size, as the zoo resizes them. Planes are float32, row-major. */

/** Keys' cubic with a = -1/2, which antialiased bicubic resizing uses. @param {number} x */
function cubic(x) {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

/** Weights of the pixels that make each pixel of a line: first index and weights. @param {number} from @param {number} to */
function lineWeights(from, to) {
  const scale = from / to;
  const wide = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = scale * (i + 0.5);
    const first = Math.max(Math.trunc(centre - 2 * wide + 0.5), 0);
    const last = Math.min(Math.trunc(centre + 2 * wide + 0.5), from);
    const weights = Array.from({ length: last - first }, (_, j) => cubic((j + first - centre + 0.5) / wide));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / sum) };
  });
}

/**
 * Bicubic, antialiased, clipped to [0, 1]: planes one after the other.
 * @param {Float32Array} planes @param {number} count @param {[number, number]} from (height, width) @param {[number, number]} to
 */
export function fitPhoto(planes, count, [height, width], [rows, columns]) {
  if (height === rows && width === columns) return planes;
  const [across, down] = [lineWeights(width, columns), lineWeights(height, rows)];
  const middle = new Float32Array(count * height * columns);
  for (let line = 0; line < count * height; line++)
    across.forEach(({ first, weights }, x) => {
      let sum = 0;
      for (let j = 0; j < weights.length; j++) sum += weights[j] * planes[line * width + first + j];
      middle[line * columns + x] = sum;
    });
  const out = new Float32Array(count * rows * columns);
  for (let plane = 0; plane < count; plane++)
    down.forEach(({ first, weights }, y) => {
      for (let x = 0; x < columns; x++) {
        let sum = 0;
        for (let j = 0; j < weights.length; j++) sum += weights[j] * middle[(plane * height + first + j) * columns + x];
        out[(plane * rows + y) * columns + x] = Math.min(Math.max(sum, 0), 1);
      }
    });
  return out;
}

/** The pixels that a nearest-neighbour resize takes. @param {number} from @param {number} to */
export const nearestLine = (from, to) => Array.from({ length: to }, (_, i) => Math.min(Math.floor((i + 0.5) * (from / to)), from - 1));

/** @template {{width: number, height: number, labels: Uint8Array}} T @param {T} map @param {[number, number]} size (height, width) @returns {T} */
export function resizeMap(map, [height, width]) {
  if (map.height === height && map.width === width) return map;
  const [rows, columns] = [nearestLine(map.height, height), nearestLine(map.width, width)];
  const labels = new Uint8Array(width * height);
  rows.forEach((y, i) => columns.forEach((x, j) => (labels[i * width + j] = map.labels[y * map.width + x])));
  return { ...map, width, height, labels };
}

/**
 * The strongest plane of each pixel of a photo of `photo` pixels, seen at `size`: scores are scaled to the photo's size (bilinear), the
 * first maximum is taken, and the nearest pixels of `size` are what is asked for; no others are computed.
 * @param {Float32Array} scores @param {number} count @param {[number, number]} from (height, width) of the scores
 * @param {[number, number]} photo @param {[number, number]} size
 */
export function strongest(scores, count, [height, width], photo, size) {
  const at = (/** @type {number} */ from, /** @type {number} */ whole, /** @type {number} */ to) =>
    nearestLine(whole, to).map((p) => {
      const place = Math.max((p + 0.5) * (from / whole) - 0.5, 0);
      const low = Math.min(Math.floor(place), from - 1);
      return { low, high: Math.min(low + 1, from - 1), part: place - low };
    });
  const [rows, columns] = [at(height, photo[0], size[0]), at(width, photo[1], size[1])];
  const out = new Uint8Array(size[0] * size[1]);
  rows.forEach((y, i) =>
    columns.forEach((x, j) => {
      let best = -Infinity;
      for (let plane = 0; plane < count; plane++) {
        const [a, b] = [plane * height * width + y.low * width, plane * height * width + y.high * width];
        const top = scores[a + x.low] * (1 - x.part) + scores[a + x.high] * x.part;
        const bottom = scores[b + x.low] * (1 - x.part) + scores[b + x.high] * x.part;
        const value = Math.fround(top * (1 - y.part) + bottom * y.part);
        if (value > best) [best, out[i * size[1] + j]] = [value, plane];
      }
    }),
  );
  return out;
}
