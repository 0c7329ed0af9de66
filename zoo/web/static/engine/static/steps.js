/** The procedure "steps": classes drawn one after the other (SegVAE). Draws are tried again where a class is missing or the figure torn. */

import { flags, floats, mapTensor } from "./tensors.js";

/** @typedef {import("./models.js").ExportedModel} ExportedModel @typedef {import("./rng.js").Rng} Rng @typedef {import("../../core/types.js").LabelMap} LabelMap */

/** @param {ExportedModel} model @param {string[]} labels @param {Rng} rng @returns {Promise<Uint8Array>} */
export async function generate(model, labels, rng) {
  const present = flags(model.channels, labels);
  if (!model.has("prior")) {
    const eps = model.drawn("generate", "eps", rng);
    return numbers(await model.run("generate", { present, eps }));
  }
  const { scales, connected } = model.recipe.retry;
  const scores = model.drawn("prior", "scores", rng);
  const scale = new Float32Array(model.channels.length).fill(1);
  let drawn = await draw();
  for (const smaller of scales) {
    const shown = new Set(drawn);
    const missing = model.values.map((value, i) => present.data[i] > 0 && !shown.has(value));
    const torn = Math.fround(connectedShare(drawn, model.resolution, model.space.background ?? 0)) < connected;
    if (!torn && !missing.some(Boolean)) break;
    missing.forEach((lost, i) => (scale[i] = lost || torn ? Math.min(scale[i], smaller) : scale[i]));
    drawn = await draw();
  }
  return drawn;

  async function draw() {
    const { z } = await model.run("prior", { present, scores, scale: floats([1, scale.length], scale) });
    return numbers(await model.run("generate", { present, z }));
  }
}

/**
 * @param {ExportedModel} model @param {LabelMap} map at the model's resolution, in its space
 * @param {import("../../core/types.js").Edit[]} edits @param {Rng} rng @returns {Promise<Uint8Array>}
 */
export async function edit(model, map, edits, rng) {
  const names = model.channels;
  const shown = new Set(map.labels);
  const start = model.values.map((value) => shown.has(value));
  const present = start.slice();
  const drawn = names.map(() => false);
  const size = model.dims("edit", "eps")[2];
  const eps = model.drawn("edit", "eps", rng);
  /** @type {Record<string, number>} */
  const seen = {};
  for (const { kind, labels } of edits) {
    const key = JSON.stringify([kind, labels]);
    const source = rng.within(kind, ...labels, (seen[key] = (seen[key] ?? -1) + 1));
    const fresh = model.drawn("edit", "eps", source);
    names.forEach((name, i) => {
      if (!labels.includes(name)) return;
      if (kind === "remove") present[i] = drawn[i] = false;
      else if (kind === "redraw" ? present[i] : !present[i]) {
        present[i] = drawn[i] = true;
        eps.data.set(fresh.data.subarray(i * size, (i + 1) * size), i * size);
      }
    });
  }
  const chosen = (/** @type {boolean[]} */ which) => flags(names, names.filter((_, i) => which[i]));
  const removed = start.map((there, i) => there && !present[i]);
  const inputs = { map: mapTensor(map), present: chosen(present), drawn: chosen(drawn), removed: chosen(removed), eps };
  const made = numbers(await model.run("edit", inputs));
  if (model.recipe.uncovered !== "nearest") return made;
  const edited = new Set(model.values.filter((_, i) => drawn[i] || removed[i]));
  return fillNearest(map, made, edited, model);
}

/** @param {Record<string, import("./tensors.js").Tensor>} outputs */
export const numbers = (outputs) => Uint8Array.from(outputs.labels.data);

/**
 * How much of what a map shows lies in its largest piece, at half the size, where corners count as contact.
 * @param {Uint8Array} labels @param {[number, number]} size (height, width) @param {number} background
 */
export function connectedShare(labels, [height, width], background) {
  const [rows, columns] = [height >> 1, width >> 1];
  const left = new Uint8Array(rows * columns);
  for (let y = 0; y < 2 * rows; y++)
    for (let x = 0; x < 2 * columns; x++) if (labels[y * width + x] !== background) left[(y >> 1) * columns + (x >> 1)] = 1;
  let [total, largest] = [0, 0];
  for (let start = 0; start < left.length; start++) {
    if (!left[start]) continue;
    let count = 0;
    const open = [start];
    left[start] = 0;
    while (open.length) {
      const at = /** @type {number} */ (open.pop());
      count++;
      const [y, x] = [Math.floor(at / columns), at % columns];
      for (let i = Math.max(y - 1, 0); i <= Math.min(y + 1, rows - 1); i++)
        for (let j = Math.max(x - 1, 0); j <= Math.min(x + 1, columns - 1); j++) {
          const next = i * columns + j;
          if (left[next]) {
            left[next] = 0;
            open.push(next);
          }
        }
    }
    total += count;
    largest = Math.max(largest, count);
  }
  return total ? largest / total : 0;
}

/**
 * Pixels that showed an edited class and now show nothing take the class of the nearest pixel that shows another one, or what that one
 * lies on where it lies on an edited one; of equal distances the first in reading order.
 * @param {LabelMap} before @param {Uint8Array} after @param {Set<number>} edited @param {ExportedModel} model
 */
function fillNearest(before, after, edited, model) {
  const { width, height } = before;
  const background = model.space.background ?? 0;
  /** @type {number[][]} */
  const under = model.recipe.under;
  const open = after.map((value, i) => (value === background && edited.has(before.labels[i]) ? 1 : 0));
  const source = after.map((value, i) => (!open[i] && !edited.has(value) ? 1 : 0));
  /** @type {[number, number][]} */
  const rim = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) if (source[y * width + x] && bordersOnOther(source, x, y, width, height)) rim.push([y, x]);
  if (!rim.length) return after;
  const filled = after.slice();
  open.forEach((is, at) => {
    if (!is) return;
    const [y, x] = [Math.floor(at / width), at % width];
    let [best, found] = [Infinity, 0];
    for (const [i, j] of rim) {
      const distance = (y - i) ** 2 + (x - j) ** 2;
      if (distance < best) [best, found] = [distance, after[i * width + j]];
    }
    const lower = under[found] ?? [];
    const ground = lower.length ? lower[lower.length - 1] : found;
    filled[at] = edited.has(ground) ? found : ground;
  });
  return filled;
}

/** @param {Uint8Array} source @param {number} x @param {number} y @param {number} width @param {number} height */
function bordersOnOther(source, x, y, width, height) {
  for (let i = Math.max(y - 1, 0); i <= Math.min(y + 1, height - 1); i++)
    for (let j = Math.max(x - 1, 0); j <= Math.min(x + 1, width - 1); j++) if (!source[i * width + j]) return true;
  return false;
}
