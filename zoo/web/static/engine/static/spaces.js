/** Maps between label spaces, by the tables that the build made of the classes' names. */

import { EngineError } from "../errors.js";

/** @typedef {import("../../core/types.js").LabelMap} LabelMap @typedef {import("./models.js").Site} Site */

/**
 * A map in another space. dropped: classes that it shows and that space lacks; they became its background.
 * @param {Site} site @param {LabelMap} map @param {string} space
 * @returns {{map: LabelMap, dropped: string[]}}
 */
export function mapped(site, map, space) {
  if (map.space === space) return { map, dropped: [] };
  const mapping = site.mappings[`${map.space}>${space}`];
  if (!mapping) throw new EngineError(`A map of ${map.space} does not fit a model of ${space}: they have no class in common.`);
  const table = Int16Array.from({ length: 256 }, (_, i) => mapping.table[i] ?? -1);
  const seen = new Set(map.labels);
  const names = site.facts.spaces[map.space].classes.map(({ name }) => name);
  const lost = [...seen].filter((value) => table[value] < 0);
  if (lost.length)
    throw new EngineError(`The map shows ${lost.map((value) => names[value] ?? "unlabeled pixels").join(", ")}, which ${space} lacks: repaint these parts or choose another model.`);
  const dropped = names.filter((name, value) => seen.has(value) && mapping.dropped.includes(name));
  return { map: { ...map, space, labels: map.labels.map((value) => table[value]) }, dropped };
}

/** The names of the classes that a map shows, in the order of its space. @param {Site} site @param {LabelMap} map */
export function shownNames(site, map) {
  const seen = new Set(map.labels);
  return site.facts.spaces[map.space].classes.map(({ name }) => name).filter((_, value) => seen.has(value));
}
