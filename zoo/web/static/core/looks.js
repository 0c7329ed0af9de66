/** The look of a picture: where each class and layer takes its style from. Pure functions. */

/** @typedef {import("./types.js").Look} Look @typedef {import("./types.js").Source} Source @typedef {import("./types.js").Part} Part */
/** @typedef {import("./types.js").StyleSpec} StyleSpec @typedef {import("./types.js").Model} Model */

/** @param {number} [seed] @returns {Look} */
export const plainLook = (seed = 1) => ({ base: { kind: "seed", seed }, parts: [], mix: null, keep: null, noise: 0, options: {} });

/** Whether two looks ask for the same. Maps of photos are compared as the objects that they are: nothing changes one in place. @param {Look} a @param {Look} b */
export function sameLook(a, b) {
  const maps = /** @type {Uint8Array[]} */ ([]);
  const flat = (/** @type {string} */ _, /** @type {any} */ value) => {
    if (!(value instanceof Uint8Array)) return value;
    if (!maps.includes(value)) maps.push(value);
    return maps.indexOf(value);
  };
  return JSON.stringify(a, flat) === JSON.stringify(b, flat);
}

/** A seed that people can read out. */
export const freshSeed = () => Math.floor(Math.random() * 10000);

/** The source that decides a class at all layers, later parts first. @param {Look} look @param {string} name @returns {Source} */
export function sourceOf(look, name) {
  for (const part of [...look.parts].reverse())
    if (part.layers === null && (part.labels === null || part.labels.includes(name))) return part.source;
  return look.base;
}

/** Whether a class is locked. @param {Look} look @param {string} name */
export const isLocked = (look, name) => look.parts.some((part) => part.locked && part.labels?.includes(name));

/** The class keeps the source that it has now, whatever the rest gets. @param {Look} look @param {string} name @returns {Look} */
export function locked(look, name) {
  return isLocked(look, name)
    ? look
    : { ...look, parts: [...look.parts, { labels: [name], layers: null, source: sourceOf(look, name), locked: true }] };
}

/** @param {Look} look @param {string} name @returns {Look} */
export const unlocked = (look, name) => ({ ...look, parts: without(look.parts, name, (part) => !!part.locked) });

/** One class gets a source of its own (locked, if it was). @param {Look} look @param {string} name @param {Source} source @returns {Look} */
export function withClass(look, name, source) {
  const part = { labels: [name], layers: null, source, ...(isLocked(look, name) ? { locked: true } : {}) };
  return { ...look, parts: [...without(look.parts, name, (old) => old.layers === null), part] };
}

/** Parts without a class where `which` says so. @param {Part[]} parts @param {string} name @param {(part: Part) => boolean} which */
function without(parts, name, which) {
  return parts.flatMap((part) => {
    if (!which(part) || !part.labels?.includes(name)) return [part];
    const labels = part.labels.filter((other) => other !== name);
    return labels.length ? [{ ...part, labels }] : [];
  });
}

/** A new random look for everything that is not locked. @param {Look} look @param {number} seed @returns {Look} */
export const rolled = (look, seed) => ({ ...look, base: { kind: "seed", seed }, parts: look.parts.filter((part) => part.locked) });

/**
 * What is asked of a synthesizer: parts only where it has styles by class, layers only where it has those, and locked parts last.
 * @param {Look} look @param {Model} model @returns {StyleSpec}
 */
export function specOf(look, model) {
  const parts = model.can.includes("style:partial") ? look.parts.flatMap((part) => known(part, model)) : [];
  const usable = parts.filter((part) => part.layers === null || part.layers.every((layer) => model.layers.includes(layer)));
  const [free, fixed] = [usable.filter((part) => !part.locked), usable.filter((part) => part.locked)];
  return { base: look.base, parts: [...free, ...fixed].map(plainPart), mix: look.mix && look.mix.amount > 0 ? look.mix : null };
}

/** A part with the classes that have a style of their own. @param {Part} part @param {Model} model @returns {Part[]} */
function known(part, model) {
  if (!part.labels || !model.styleClasses?.length) return [part];
  const labels = part.labels.filter((name) => model.styleClasses?.includes(name));
  return labels.length ? [{ ...part, labels }] : [];
}

/** @param {Part} part @returns {Part} */
const plainPart = ({ labels, layers, source, locked: fixed }) => ({ labels, layers, source, ...(fixed ? { locked: true } : {}) });

/** Every source of a look. @param {Look} look @returns {Source[]} */
export const sourcesOf = (look) => [look.base, ...look.parts.map((part) => part.source), ...(look.mix ? [look.mix.source] : [])];

/** The photos that a look needs. @param {Look} look @returns {string[]} */
export function photosOf(look) {
  const ids = sourcesOf(look).flatMap((source) => (source.kind === "photo" ? [source.photo] : []));
  return [...new Set(look.keep ? [...ids, look.keep.photo] : ids)];
}

/** A look in which one photo gives way to a seed. @param {Look} look @param {string} id @param {number} seed @returns {Look} */
export function withoutPhoto(look, id, seed) {
  /** @param {Source} source @returns {Source} */
  const other = (source) => (source.kind === "photo" && source.photo === id ? { kind: "seed", seed } : source);
  return {
    ...look,
    base: other(look.base),
    parts: look.parts.filter((part) => part.source.kind !== "photo" || part.source.photo !== id),
    mix: look.mix && { ...look.mix, source: other(look.mix.source) },
    keep: look.keep?.photo === id ? null : look.keep,
  };
}

/** The first of the sources that are asked of a synthesizer which it lacks, in words; null: it has them all. @param {Look} look @param {Model} model */
export function firstLack(look, model) {
  const { base, parts, mix } = specOf(look, model);
  const lack = lacking(base.kind, model);
  if (lack) return lack;
  for (const { labels, source } of parts) if (lacking(source.kind, model)) return `${labels?.join(", ") ?? "a layer"}: ${lacking(source.kind, model)}`;
  return mix && lacking(mix.source.kind, model) ? `mix: ${lacking(mix.source.kind, model)}` : null;
}

/** What a source needs of a synthesizer; null: it can, else the reason. @param {Source["kind"]} kind @param {Model} model */
export function lacking(kind, model) {
  const need = { seed: "style:prior", mean: "style:mean", photo: "style:photo" }[kind];
  const words = { seed: "random styles", mean: "mean style", photo: "styles of photos" }[kind];
  return model.can.includes(need) ? null : `${model.id} has no ${words}`;
}
