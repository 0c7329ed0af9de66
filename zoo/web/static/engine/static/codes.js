/** The procedure "codes": every part has a code, and edits change codes between one encode and one decode (mask-vae). */

import { given } from "./gaussian.js";
import { numbers } from "./steps.js";
import { flags, floats, mapTensor } from "./tensors.js";

/** @typedef {import("./models.js").ExportedModel} ExportedModel @typedef {import("./rng.js").Rng} Rng @typedef {import("../../core/types.js").LabelMap} LabelMap */
/** @typedef {import("./tensors.js").Tensor} Tensor */

/** @param {ExportedModel} model @param {string[]} labels @param {Rng} rng @returns {Promise<Uint8Array>} */
export async function generate(model, labels, rng) {
  const present = flags(model.channels, labels);
  if (model.has("prior")) {
    const inputs = { present, scores: model.drawn("prior", "scores", rng), rest: model.drawn("prior", "rest", rng) };
    const { z } = await model.run("prior", inputs);
    return numbers(await model.run("generate", { present, z }));
  }
  const z = paperCodes(model, rng);
  const size = z.dims[2];
  present.data.forEach((there, i) => { if (!there) z.data.set(model.tensors.empty.data, i * size); });
  /** @type {Record<string, Tensor>} */
  const states = {};
  for (const [name, keys] of Object.entries(model.recipe.normal)) {
    if (name === "z") continue;
    const dims = model.dims("generate", name);
    states[name] = floats(dims, rng.normals(/** @type {any} */ (keys), dims[1] * dims[2]));
  }
  return numbers(await model.run("generate", { present, z, ...states }));
}

/** Standard normals for all codes, each part from its own key. @param {ExportedModel} model @param {Rng} rng @returns {Tensor} */
function paperCodes(model, rng) {
  const dims = model.dims("generate", "z");
  return floats(dims, rng.normals(model.channels.map((name) => ["z", name]), dims[1] * dims[2]));
}

/**
 * @param {ExportedModel} model @param {LabelMap} map at the model's resolution, in its space
 * @param {import("../../core/types.js").Edit[]} edits @param {Rng} rng @param {LabelMap} [other] in the model's space @returns {Promise<Uint8Array>}
 */
export async function edit(model, map, edits, rng, other) {
  const shown = new Set(map.labels);
  let present = model.values.map((value) => shown.has(value));
  const { z } = await model.run("encode", { labels: mapTensor(map) });
  z.data = Float32Array.from(z.data);
  /** @type {Record<string, number>} */
  const seen = {};
  for (const change of edits) {
    const key = JSON.stringify([change.kind, change.labels]);
    const source = rng.within(change.kind, ...change.labels, (seen[key] = (seen[key] ?? -1) + 1));
    const named = model.channels.map((name) => change.labels.includes(name));
    present = await apply(model, change, z, present, named, source, other);
  }
  const chosen = flags(model.channels, model.channels.filter((_, i) => present[i]));
  return numbers(await model.run("generate", { present: chosen, z }));
}

/**
 * One edit of the codes, in place; returns which parts are present afterwards.
 * @param {ExportedModel} model @param {import("../../core/types.js").Edit} change @param {Tensor} z @param {boolean[]} present
 * @param {boolean[]} named @param {Rng} rng @param {LabelMap} [other] @returns {Promise<boolean[]>}
 */
async function apply(model, change, z, present, named, rng, other) {
  const size = z.dims[2];
  const each = (/** @type {(at: number, i: number) => void} */ visit) =>
    named.forEach((is, part) => { if (is) for (let e = 0; e < size; e++) visit(part * size + e, part); });
  if (change.kind === "remove") {
    each((at) => (z.data[at] = model.tensors.empty.data[at % size]));
    return present.map((there, i) => there && !named[i]);
  }
  if (change.kind === "perturb") {
    const noise = paperCodes(model, rng).data;
    each((at, part) => { if (present[part]) z.data[at] = Math.fround(z.data[at] + Math.fround((change.strength ?? 1) * noise[at])); });
    return present;
  }
  if (change.kind === "interpolate") {
    const map = /** @type {LabelMap} */ (other);
    const theirs = (await model.run("encode", { labels: mapTensor(map) })).z.data;
    const t = change.amount ?? 1;
    each((at) => (z.data[at] = t * theirs[at] + (1 - t) * z.data[at]));
    const seen = new Set(map.labels);
    return present.map((there, i) => (named[i] ? (there && t < 1) || (seen.has(model.values[i]) && t > 0) : there));
  }
  const adds = change.kind === "add";
  const wanted = named.map((is, i) => is && present[i] !== adds);
  const kept = present.map((there, i) => there && (adds || !named[i]));
  draw(model, z, wanted, kept, rng);
  return adds ? present.map((there, i) => there || named[i]) : present;
}

/** Codes of the wanted parts, in place: of the fitted prior given the kept parts, else of N(0, 1). @param {ExportedModel} model @param {Tensor} z @param {boolean[]} wanted @param {boolean[]} kept @param {Rng} rng */
function draw(model, z, wanted, kept, rng) {
  const size = z.dims[2];
  const fresh = model.has("prior")
    ? given(model.tensors, model.drawn("prior", "scores", rng).data, model.drawn("prior", "rest", rng).data, wanted, kept, z.data)
    : paperCodes(model, rng).data;
  wanted.forEach((is, part) => { if (is) z.data.set(fresh.subarray(part * size, (part + 1) * size), part * size); });
}
