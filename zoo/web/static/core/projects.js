/** Project files: everything that the user made, as one JSON document that `zoo replay` takes, too. */

import { photosOf } from "./looks.js";
import { mapFault } from "./maps.js";
import { optionsOf, readOptions } from "./options.js";
import { decodePng, encodePng } from "./png.js";
import { sha256 } from "./sha256.js";
import { fromBase64, mapFromWire, toBase64, toWire } from "./wire.js";

/** @typedef {import("./types.js").LabelMap} LabelMap @typedef {import("./types.js").Look} Look @typedef {import("./types.js").Photo} Photo */
/** @typedef {import("./types.js").Facts} Facts @typedef {import("./types.js").Source} Source @typedef {import("./types.js").Model} Model */
/**
 * @typedef {{
 *   map: LabelMap, look: Look, photos: Record<string, Photo>, generator: string, synthesizer: string, parser: string, steps: any[],
 *   picture: Blob | null, styled: import("./types.js").StyleSpec
 * }} Work
 */

export const VERSION = 1;

/** @param {Work} work @param {Facts} facts @returns {Promise<any>} a value for JSON.stringify */
export async function toProject(work, facts) {
  const { map, look } = work;
  const png = await encodePng({ width: map.width, height: map.height, data: map.labels, channels: 1 });
  const used = new Set([...photosOf(look), ...Object.keys(work.photos)]);
  const photos = /** @type {Record<string, string>} */ ({});
  const frames = /** @type {Record<string, any>} */ ({});
  for (const id of used) {
    const photo = work.photos[id];
    if (!photo) continue;
    photos[id] = toBase64(new Uint8Array(await photo.blob.arrayBuffer()));
    frames[id] = { name: photo.name, frame: photo.frame, map: toWire(photo.map) };
  }
  const models = [...facts.generators, ...facts.synthesizers, ...facts.parsers];
  const named = [work.generator, work.synthesizer, work.parser].filter(Boolean);
  return {
    zoo: "project",
    version: VERSION,
    made_by: facts.version,
    space: map.space,
    map: { width: map.width, height: map.height, labels: toBase64(png) },
    photos,
    generator: work.generator,
    synthesizer: work.synthesizer,
    parser: work.parser,
    digests: Object.fromEntries(named.map((id) => [id, models.find((model) => model.id === id)?.digest ?? ""])),
    style: toWire(work.styled),
    keep: toWire(look.keep),
    seed: look.noise,
    options: optionsOf(look.options?.[work.synthesizer], facts.synthesizers.find((model) => model.id === work.synthesizer)),
    steps: toWire(work.steps),
    picture: work.picture ? { sha256: await pixelDigest(work.picture) } : null,
    page: { look: toWire(look), photos: frames },
  };
}

/** @param {Blob} png @returns {Promise<string>} */
export async function pixelDigest(png) {
  const { data, channels } = await decodePng(new Uint8Array(await png.arrayBuffer()));
  if (channels === 3) return sha256(data);
  return sha256(channels === 4 ? data.filter((_, i) => i % 4 !== 3) : data);
}

/**
 * Reads a project file. Throws a RangeError with a sentence for what is none.
 * @param {string} text @param {Facts} facts
 * @returns {Promise<{map: LabelMap, look: Look, photos: {id: string, bytes: Uint8Array<ArrayBuffer>, name: string, frame: any, map: LabelMap | null}[],
 *   generator: string, synthesizer: string, parser: string, steps: any[], digest: string | null, notes: string[]}>}
 */
export async function fromProject(text, facts) {
  const value = parsed(text);
  if (value?.zoo !== "project") throw new RangeError("This file is no project of the zoo (it lacks \"zoo\": \"project\").");
  if (value.version !== VERSION) throw new RangeError(`This project is of version ${value.version}, and this page reads version ${VERSION}.`);
  const space = facts.spaces[value.space];
  if (!space) throw new RangeError(`This project's maps are of the label space ${value.space}, which is not here.`);
  const map = await readMap(value, space);
  const ids = Object.keys(value.photos ?? {});
  const photos = ids.map((id) => {
    const page = value.page?.photos?.[id] ?? {};
    const own = page.map ? mapFromWire(page.map) : null;
    if (own && (!facts.spaces[own.space] || mapFault(own, facts.spaces[own.space]))) throw new RangeError("A photo's map in this project is damaged.");
    return { id, bytes: fromBase64(value.photos[id]), name: String(page.name ?? "photo.png"), frame: page.frame ? readFrame(page.frame) : null, map: own };
  });
  const look = readLook(value.page?.look ?? { ...value.style, keep: value.keep, noise: value.seed, options: { [String(value.synthesizer)]: value.options } }, space.classes.map((one) => one.name));
  const lost = photosOf(look).find((id) => !ids.includes(id));
  if (lost) throw new RangeError("This project names a photo that it does not hold.");
  return {
    map, look, photos,
    generator: String(value.generator ?? ""),
    synthesizer: String(value.synthesizer ?? ""),
    parser: String(value.parser ?? ""),
    steps: Array.isArray(value.steps) ? value.steps : [],
    digest: value.picture?.sha256 ?? null,
    notes: [...otherModels(value.digests ?? {}, facts), ...lostOptions(look.options?.[String(value.synthesizer)], facts.synthesizers.find((model) => model.id === value.synthesizer))],
  };
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new RangeError("This file is no project of the zoo: it is not JSON, or it is cut off.");
  }
}

/** @param {any} value @param {import("./types.js").Space} space @returns {Promise<LabelMap>} */
async function readMap(value, space) {
  try {
    const png = await decodePng(fromBase64(String(value.map.labels)));
    if (png.channels !== 1) throw new RangeError("it has colours instead of numbers");
    const map = { width: value.map.width, height: value.map.height, space: value.space, labels: png.data };
    const fault = mapFault(map, space);
    if (fault) throw new RangeError(fault);
    return map;
  } catch (error) {
    throw new RangeError(`The map in this project is damaged: ${error instanceof RangeError ? error.message : "it is not there"}.`);
  }
}

/** @param {any} value @param {string[]} names @returns {Look} */
function readLook(value, names) {
  const whole = (/** @type {any} */ n) => Number.isSafeInteger(n) && n >= 0;
  /** @param {any} source @returns {Source} */
  const read = (source) => {
    if (source?.kind === "mean") return { kind: "mean" };
    if (source?.kind === "seed" && whole(source.seed)) return { kind: "seed", seed: source.seed };
    if (source?.kind === "photo" && typeof source.photo === "string") {
      return {
        kind: "photo",
        photo: source.photo,
        ...(source.frame ? { frame: readFrame(source.frame) } : {}),
        ...(source.map ? { map: mapFromWire(source.map) } : {}),
      };
    }
    throw new RangeError("The style in this project is damaged.");
  };
  /** @param {any} list @returns {string[] | null} */
  const labels = (list) => {
    if (list === null || list === undefined) return null;
    if (!Array.isArray(list) || list.some((name) => !names.includes(name))) throw new RangeError("The style in this project names a class that its label space lacks.");
    return list;
  };
  if (!Array.isArray(value?.parts) || (value.mix && !(value.mix.amount >= 0 && value.mix.amount <= 1))) throw new RangeError("The style in this project is damaged.");
  return {
    base: read(value.base),
    parts: value.parts.map((/** @type {any} */ part) => ({
      labels: labels(part.labels),
      layers: Array.isArray(part.layers) ? part.layers.map(String) : null,
      source: read(part.source),
      ...(part.locked ? { locked: true } : {}),
    })),
    mix: value.mix ? { source: read(value.mix.source), amount: value.mix.amount } : null,
    keep: value.keep
      ? { photo: String(value.keep.photo), classes: labels(value.keep.classes) ?? [], ...(value.keep.frame ? { frame: readFrame(value.keep.frame) } : {}), ...(value.keep.map ? { map: mapFromWire(value.keep.map) } : {}) }
      : null,
    noise: whole(value.noise) ? value.noise : 0,
    options: readOptions(value.options),
  };
}

/** @param {any} value @returns {import("./types.js").Frame} */
function readFrame(value) {
  const { x, y, side, angle } = value;
  if (![x, y, side, angle].every(Number.isFinite) || side <= 0) throw new RangeError("A photo's frame in this project is damaged.");
  return { x, y, side, angle };
}

/** Sentences about models that are not the project's. @param {Record<string, string>} digests @param {Facts} facts */
function otherModels(digests, facts) {
  const models = [...facts.generators, ...facts.synthesizers, ...facts.parsers];
  return Object.entries(digests).flatMap(([id, digest]) => {
    const model = models.find((one) => one.id === id);
    if (!model || !model.available) return [`The model ${id} is not here: another must take its place.`];
    return digest && model.digest && digest !== model.digest ? [`${id} is not the one of the project (other weights): pictures may differ.`] : [];
  });
}

/** Options of the project that its synthesizer lacks on this page. @param {import("./types.js").Options | undefined} options @param {Model | undefined} model */
function lostOptions(options, model) {
  const lost = Object.keys(options ?? {}).filter((name) => model && !model.options?.some((one) => one.name === name));
  return lost.length && model ? [`${model.id} has no option ${lost.join(", ")} on this page: its picture may differ.`] : [];
}
