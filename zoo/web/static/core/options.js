/** Sampling options of models, by name and as text, as `--opt` takes them; only those that are not the default are kept. Pure functions. */

/** @typedef {import("./types.js").Model} Model @typedef {import("./types.js").Options} Options */

/** Those of a model: what it has, in its own order. @param {Options | undefined} values @param {Model | undefined} model @returns {Options} */
export function optionsOf(values, model) {
  const known = model?.options ?? [];
  return Object.fromEntries(known.flatMap(({ name, default: usual }) => (values && name in values && values[name] !== usual ? [[name, values[name]]] : [])));
}

/** As a field of a job: nothing where all are the default. @param {Options | undefined} values @param {Model | undefined} model @returns {{options?: Options}} */
export function jobOptions(values, model) {
  const options = optionsOf(values, model);
  return Object.keys(options).length ? { options } : {};
}

/** With one of them changed; what is empty or the default goes. @param {Options | undefined} values @param {Model} model @param {string} name @param {string} value */
export function withOption(values, model, name, value) {
  const text = value.trim().slice(0, 256);
  const { [name]: _, ...rest } = optionsOf(values, model);
  return optionsOf(text ? { ...rest, [name]: text } : rest, model);
}

/** @param {Options | undefined} values @returns {string[]} words of a command line */
export const optionWords = (values) => Object.entries(values ?? {}).flatMap(([name, value]) => ["--opt", `${name}=${value}`]);

/** Options in a project, by model. @param {any} value @returns {Record<string, Options>} */
export function readOptions(value) {
  const entries = Object.entries(value && typeof value === "object" ? value : {});
  return Object.fromEntries(entries.map(([id, options]) => [id, Object.fromEntries(Object.entries(options ?? {}).map(([name, text]) => [name, String(text).slice(0, 256)]))]));
}
