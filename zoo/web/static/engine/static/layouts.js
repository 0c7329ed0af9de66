/** Jobs that make layouts: generate, edit. Sample i draws from streams of its own, as `zoo generate` and `--edit` do. */

import { EngineError } from "../errors.js";
import * as codes from "./codes.js";
import { resizeMap } from "./resample.js";
import { Rng } from "./rng.js";
import { mapped, shownNames } from "./spaces.js";
import * as steps from "./steps.js";

/** @typedef {import("./models.js").ExportedModel} ExportedModel @typedef {import("./models.js").Models} Models */
/** @typedef {import("../../core/types.js").LabelMap} LabelMap @typedef {import("../../core/types.js").Edit} Edit */
/** @typedef {{done: (done: number, total: number, text: string) => Promise<void>}} Work  throws where the job was cancelled */

/** @type {Record<string, {generate: (model: ExportedModel, labels: string[], rng: Rng) => Promise<Uint8Array>, edit: (model: ExportedModel, map: LabelMap, edits: Edit[], rng: Rng, other?: LabelMap) => Promise<Uint8Array>}>} */
const PROCEDURES = { steps, codes };

/** @param {ExportedModel} model */
function procedure(model) {
  const found = PROCEDURES[model.recipe.procedure];
  if (!found) throw new EngineError(`This page does not know how ${model.described.model} draws maps (${model.recipe.procedure}).`);
  return found;
}

/** @param {Models} models @param {import("../../core/types.js").GenerateJob} job @param {Work} work */
export async function generate(models, job, work) {
  const model = await models.get(job.generator);
  const notes = new Set();
  const maps = [];
  for (let sample = 0; sample < job.n; sample++) {
    await work.done(sample, job.n, "Drawing layouts");
    const rng = new Rng(job.seed, sample, ["map"]);
    const labels = job.labels === null ? drawnSet(models, job.generator, rng) : known(model, job.labels);
    const map = finished(model, await procedure(model).generate(model, labels, rng));
    const missing = labels.filter((name) => name !== background(model) && !shownNames(models.site, map).includes(name));
    if (missing.length) notes.add(`Came out without ${missing.join(", ")}: ask for another seed to see it.`);
    maps.push(map);
  }
  return { maps, notes: [...notes] };
}

/** @param {ExportedModel} model */
const background = (model) => (model.space.background === null ? null : model.names[model.space.background]);

/** @param {ExportedModel} model @param {Uint8Array} labels @returns {LabelMap} */
const finished = (model, labels) => ({ width: model.resolution[1], height: model.resolution[0], space: model.space.name, labels });

/** @param {ExportedModel} model @param {string[]} labels */
function known(model, labels) {
  const strange = labels.filter((name) => !model.channels.includes(name) && name !== background(model));
  if (strange.length) throw new EngineError(`${model.described.model} does not draw ${strange.join(", ")}; its parts are ${model.channels.join(", ")}.`);
  if (!labels.some((name) => model.channels.includes(name))) throw new EngineError(`The label set is empty: name at least one of ${model.channels.join(", ")}.`);
  return labels;
}

/** A label set with its frequency in the training data. @param {Models} models @param {string} id @param {Rng} rng */
function drawnSet(models, id, rng) {
  const sets = models.site.labelSets[id];
  if (!sets?.length) throw new EngineError("This model does not know the label sets of its training data: choose the classes.");
  let position = rng.uniform(["label-set"], 1)[0] * sets.reduce((sum, { count }) => sum + count, 0);
  const found = sets.find(({ count }) => (position -= count) <= 0) ?? sets[sets.length - 1];
  return found.labels;
}

/** @param {Models} models @param {import("../../core/types.js").EditJob} job @param {Work} work */
export async function edit(models, job, work) {
  const model = await models.get(job.generator);
  const lacks = job.edits.find(({ kind }) => !model.recipe.edits.includes(kind));
  if (lacks) throw new EngineError(`${job.generator} has no edit '${lacks.kind}' here (it has: ${model.recipe.edits.join(", ") || "none"}).`);
  const old = prepared(models, model, job.map);
  const other = job.other && prepared(models, model, job.other);
  if (job.edits.some(({ kind }) => kind === "interpolate") && !other) throw new EngineError("The edit interpolate needs another map.");
  for (const { labels } of job.edits) known(model, labels);
  const shown = new Set(shownNames(models.site, old));
  const { acting, notes } = acts(job.edits, shown, other ? new Set(shownNames(models.site, other)) : new Set());
  const possible = job.edits.filter((change, i) => acting[i] || !["redraw", "perturb"].includes(change.kind));
  const maps = [];
  for (let sample = 0; sample < job.n; sample++) {
    await work.done(sample, job.n, "Editing the layout");
    const rng = new Rng(job.seed, sample, ["map"]);
    const labels = acting.some(Boolean) ? await procedure(model).edit(model, old, possible, rng, other) : old.labels.slice();
    maps.push(finished(model, job.keepRest ? withRest(model, old.labels, labels, job.edits) : labels));
  }
  return { maps, notes };
}

/** @param {Models} models @param {ExportedModel} model @param {LabelMap} map */
const prepared = (models, model, map) => resizeMap(mapped(models.site, map, model.space.name).map, model.resolution);

/** The old pixels where neither the old nor the new class was edited. @param {ExportedModel} model @param {Uint8Array} old @param {Uint8Array} labels @param {Edit[]} edits */
function withRest(model, old, labels, edits) {
  const touched = new Set(edits.flatMap((change) => change.labels.map((name) => model.names.indexOf(name))));
  return labels.map((value, i) => (touched.has(old[i]) || touched.has(value) ? value : old[i]));
}

/**
 * Which edits, in their order, have something to act on, and what is to be said of the others.
 * @param {Edit[]} edits @param {Set<string>} shown @param {Set<string>} theirs
 */
export function acts(edits, shown, theirs) {
  const drawn = new Set(edits.filter(({ kind }) => kind === "add" || kind === "redraw").flatMap(({ labels }) => labels));
  const gone = new Set(edits.filter(({ kind }) => kind === "remove").flatMap(({ labels }) => labels));
  const missing = [...gone].filter((name) => !shown.has(name) && !drawn.has(name)).sort();
  const notes = missing.length ? [`Nothing to remove: the map shows no ${missing.join(" and no ")}.`] : [];
  let present = new Set(shown);
  const acting = edits.map(({ kind, labels, amount }) => {
    const here = labels.some((name) => present.has(name));
    const there = kind === "interpolate" && labels.some((name) => theirs.has(name));
    const does = kind === "add" ? labels.some((name) => !present.has(name)) : here || there;
    const weight = amount ?? 1;
    if (kind === "interpolate") {
      if (weight >= 1) present = new Set([...present].filter((name) => !labels.includes(name)));
      if (weight > 0) labels.filter((name) => theirs.has(name)).forEach((name) => present.add(name));
    } else if (kind === "remove") labels.forEach((name) => present.delete(name));
    else if (kind === "add") labels.forEach((name) => present.add(name));
    if (!does && kind !== "remove") {
      const none = `the map shows no ${labels.join(" and no ")}`;
      const words = { add: `the map shows ${labels.join(" and ")} already`, interpolate: `${none}, nor does the other` };
      notes.push(`Nothing to ${kind}: ${kind === "add" || kind === "interpolate" ? words[kind] : none}.`);
    }
    return does;
  });
  return { acting, notes };
}
