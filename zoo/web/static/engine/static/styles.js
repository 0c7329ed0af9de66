/**
 * Styles as the zoo's (`zoo.style.Style`), of one sample: named tensors with named axes, which classes are present, where they are visible.
 */

import { lerp, sizeOf } from "./tensors.js";
import { EngineError } from "../errors.js";

/** @typedef {import("./tensors.js").Tensor} Tensor */
/**
 * @typedef {{
 *   tensors: Record<string, Tensor>, axes: Record<string, string[]>, classes: string[], layers: string[],
 *   present: boolean[] | null, visible: boolean[][] | null, rng: import("./rng.js").Rng | null
 * }} Style
 *   present: null: all. visible: by class and layer, null: as present. rng: of what the synthesizer draws while it works.
 */

/** @param {Style} style */
const presence = (style) => style.present ?? style.classes.map(() => true);
/** @param {Style} style */
const visibility = (style) => style.visible ?? presence(style).map((there) => style.layers.map(() => there));
/** @param {Tensor} tensor */
const copy = (tensor) => ({ data: tensor.data.slice(), dims: tensor.dims });

/**
 * Walk the entries of a tensor: the callback gets the place, the class and the layer (-1 where the tensor has no such axis).
 * @param {Style} style @param {string} name @param {(at: number, type: number, layer: number) => void} visit
 */
function walk(style, name, visit) {
  const axes = style.axes[name];
  const dims = style.tensors[name].dims;
  const [c, l] = [axes.indexOf("class"), axes.indexOf("layer")];
  const steps = dims.map((_, i) => sizeOf(dims.slice(i + 1)));
  const count = sizeOf(dims);
  for (let at = 0; at < count; at++) {
    visit(at, c < 0 ? -1 : Math.floor(at / steps[c]) % dims[c], l < 0 ? -1 : Math.floor(at / steps[l]) % dims[l]);
  }
}

/** @param {string[]} names @param {string[] | null} wanted @param {string} axis @returns {Set<number>} */
function chosen(names, wanted, axis) {
  if (wanted === null) return new Set(names.keys());
  return new Set(
    wanted.map((name) => {
      const at = names.indexOf(name);
      if (at < 0) throw new EngineError(`No style ${axis} '${name}' (here: ${names.join(", ") || "none"})`);
      return at;
    }),
  );
}

/**
 * (1 - t) * style + t * other at these classes and layers (null: all). A class that one of the two lacks stays as it is where it is
 * mixed in part; all of it is taken with t = 1 and no layers named. Both are of one model.
 * @param {Style} style @param {Style} other @param {number} t @param {string[] | null} classes @param {string[] | null} layers
 * @returns {Style}
 */
export function blend(style, other, t, classes, layers) {
  for (const [axis, names] of /** @type {[string, string[] | null][]} */ ([["class", classes], ["layer", layers]]))
    if (names && !Object.values(style.axes).some((axes) => axes.includes(axis)))
      throw new EngineError(`This style has no ${axis} axis: it cannot be changed for single ${axis === "class" ? "classes" : "layers"}.`);
  const partial = t !== 1 || layers !== null;
  const [types, depths] = [chosen(style.classes, classes, "class"), chosen(style.layers, layers, "layer")];
  const [mine, theirs] = [presence(style), presence(other)];
  /** @type {Record<string, Tensor>} */
  const tensors = { ...style.tensors };
  for (const name of Object.keys(tensors)) {
    const axes = style.axes[name];
    if ((classes && !axes.includes("class")) || (layers && !axes.includes("layer"))) continue;
    const made = copy(tensors[name]);
    const source = other.tensors[name].data;
    walk(style, name, (at, type, layer) => {
      if ((type >= 0 && !types.has(type)) || (layer >= 0 && !depths.has(layer))) return;
      if (partial && type >= 0 && !(mine[type] && theirs[type])) return;
      made.data[at] = t === 1 ? source[at] : lerp(made.data[at], source[at], t);
    });
    tensors[name] = made;
  }
  const visible = style.visible || other.visible ? visibleWith(style, other, t, types, depths, partial) : null;
  if (partial) return { ...style, tensors, visible };
  const present = style.present || other.present ? mine.map((there, i) => (types.has(i) ? theirs[i] : there)) : null;
  return { ...style, tensors, present, visible };
}

/** @param {Style} style @param {Style} other @param {number} t @param {Set<number>} types @param {Set<number>} depths @param {boolean} partial */
function visibleWith(style, other, t, types, depths, partial) {
  const [here, there] = [visibility(style), visibility(other)];
  const [mine, theirs] = [presence(style), presence(other)];
  return here.map((row, type) =>
    row.map((seen, layer) => {
      if (!types.has(type) || !depths.has(layer)) return seen;
      const taken = t === 1 ? there[type][layer] : seen || there[type][layer];
      return partial && !(mine[type] && theirs[type]) ? seen : taken;
    }),
  );
}

/** This style with the entries of another. @param {Style} style @param {Style} other @param {string[] | null} classes @param {string[] | null} layers */
export function take(style, other, classes, layers) {
  const taken = blend(style, other, 1, classes, layers);
  return classes === null && layers === null ? { ...taken, rng: other.rng } : taken;
}

/** The entries of `prior` for classes that are absent here and present there. @param {Style} style @param {Style} prior @returns {Style} */
export function fill(style, prior) {
  if (!style.present || style.present.every(Boolean)) return style;
  const [mine, theirs] = [style.present, presence(prior)];
  /** @type {Record<string, Tensor>} */
  const tensors = { ...style.tensors };
  for (const name of Object.keys(tensors)) {
    if (!style.axes[name].includes("class")) continue;
    const made = copy(tensors[name]);
    walk(style, name, (at, type) => {
      if (!mine[type] && theirs[type]) made.data[at] = prior.tensors[name].data[at];
    });
    tensors[name] = made;
  }
  const [here, there] = [visibility(style), visibility(prior)];
  const visible = style.visible ? here.map((row, i) => (mine[i] ? row : there[i])) : null;
  return { ...style, tensors, present: mine.map((a, i) => a || theirs[i]), visible };
}

/** The classes that a map shows and a style lacks. @param {Style} style @param {Set<string>} shown */
export const lacking = (style, shown) => (style.present ? style.classes.filter((name, i) => shown.has(name) && !style.present?.[i]) : []);
