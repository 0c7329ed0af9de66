/** The command lines that make the same picture. Pure functions. */

import { isMiddle } from "./frames.js";
import { photosOf, specOf } from "./looks.js";
import { optionsOf, optionWords } from "./options.js";

/** @typedef {import("./types.js").Look} Look @typedef {import("./types.js").Model} Model @typedef {import("./types.js").Source} Source */
/** @typedef {import("./types.js").Photo} Photo @typedef {import("./types.js").Part} Part @typedef {import("./types.js").Space} Space */
/** @typedef {import("./types.js").GenerateJob | import("./types.js").EditJob} Made */
/** @typedef {{name: string, holds: "map" | "photo" | "framed" | "photo's map", photo?: string}} NamedFile */
/** @typedef {{lines: string[], files: NamedFile[], notes: string[]}} Command */

/** One word of a POSIX shell. @param {string} text */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** @param {string} name a file's, as a plain name that needs no care: the page never knows where a file lay */
export function plainName(name) {
  const parts = name.normalize("NFC").replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+/, "");
  return parts.slice(-80) || "photo";
}

/** @param {string} name */
const stem = (name) => plainName(name).replace(/\.[^.]*$/, "");

/**
 * `zoo synth` of the exported map, or `zoo compose` where a photo's pixels are kept.
 * @param {{look: Look, model: Model, mapSpace: string, generator: string, photos: Record<string, Photo>, space: Space}} state
 * @returns {Command}
 */
export function pictureCommand({ look, model, mapSpace, generator, photos, space }) {
  /** @type {NamedFile[]} */
  const files = [{ name: "map.png", holds: "map" }];
  const notes = /** @type {string[]} */ ([]);
  const names = photoNames(photosOf(look).map((id) => photos[id]).filter(Boolean));
  /** @param {string} id @param {boolean} withMap @returns {string} */
  const file = (id, withMap) => {
    const photo = photos[id];
    if (!photo) return "photo.png";
    const hand = photo.frame !== null && !isMiddle(photo.frame, photo);
    const name = hand ? `${stem(names[id])}-framed.png` : names[id];
    add(files, { name, holds: hand ? "framed" : "photo", photo: id });
    if (!withMap || !photo.map) return name;
    const map = `${stem(names[id])}-map.png`;
    add(files, { name: map, holds: "photo's map", photo: id });
    return `${name}::${map}`;
  };
  /** @param {Source} source */
  const written = (source) => (source.kind === "seed" ? `seed:${source.seed}` : source.kind === "mean" ? "mean" : file(source.photo, true));

  const spec = specOf(look, model);
  const words = look.keep
    ? ["zoo", "compose", `${generator}+${model.id}`, "--photo", file(look.keep.photo, false), "--mask", "map.png", "--keep", look.keep.classes.join(",")]
    : ["zoo", "synth", model.id, "map.png"];
  if (mapSpace !== model.space) words.push("--mask-space", mapSpace);
  words.push("--trust-maps", "--style", written(spec.base));
  for (const part of spec.parts) words.push("--style", partText(part, model, space, written));
  if (spec.mix) {
    const [step, steps] = fraction(spec.mix.amount);
    words.push("--style-to", written(spec.mix.source), "-n", String(steps + 1));
    notes.push(`The picture is number ${String(step).padStart(6, "0")} of the ${steps + 1}, which go from one style to the other.`);
    if (spec.parts.some((part) => part.locked)) notes.push("On the command line the mix reaches locked classes, too.");
  }
  words.push(...optionWords(optionsOf(look.options?.[model.id], model)), "--seed", String(look.noise), "--out", "picture");
  if (files.some((one) => one.holds === "framed")) notes.push("A photo that was framed by hand goes by its cut-out, which differs a little by resampling.");
  return { lines: [words.map(quoted).join(" ")], files, notes };
}

/**
 * @param {Part} part @param {Model} model @param {Space} space @param {(source: Source) => string} written
 */
function partText(part, model, space, written) {
  const labels = part.labels ?? space.classes.map((one) => one.name);
  const layers = part.layers ? `@${part.layers.map((name) => model.layers.indexOf(name) + 1).join(",")}` : "";
  return `${labels.join(",")}${layers}=${written(part.source)}`;
}

/** File names, each once. @param {Photo[]} photos @returns {Record<string, string>} */
export function photoNames(photos) {
  const taken = new Set(["map.png"]);
  const names = /** @type {Record<string, string>} */ ({});
  for (const photo of photos) {
    const wanted = plainName(photo.name);
    const [head, tail] = [wanted.replace(/\.[^.]*$/, ""), /\.[^.]*$/.exec(wanted)?.[0] ?? ".png"];
    let name = `${head}${tail}`;
    for (let i = 2; taken.has(name); i++) name = `${head}-${i}${tail}`;
    taken.add(name);
    names[photo.id] = name;
  }
  return names;
}

/** @param {NamedFile[]} files @param {NamedFile} file */
function add(files, file) {
  if (!files.some((one) => one.name === file.name)) files.push(file);
}

/** An amount of the slider (steps of 0.05) as sample i of n. @param {number} amount @returns {[number, number]} */
function fraction(amount) {
  let [step, steps] = [Math.round(amount * 20), 20];
  for (const prime of [2, 2, 5]) if (step % prime === 0 && steps % prime === 0) [step, steps] = [step / prime, steps / prime];
  return [step, steps];
}

/** The command line of a layout that a model drew or edited; its other map, if any, is other.png. @param {Made} job @param {string} [mapSpace] */
export function layoutCommand(job, mapSpace) {
  const words = ["zoo", "generate", job.generator];
  if (job.kind === "generate") {
    if (job.labels) words.push("--labels", job.labels.join(","));
    if (job.prior) words.push("--prior", job.prior);
  } else {
    words.push("--mask", "map.png", ...(mapSpace ? ["--mask-space", mapSpace] : []), "--trust-maps");
    for (const edit of job.edits) words.push("--edit", editText(edit));
    if (job.keepRest) words.push("--keep-rest");
  }
  words.push(...optionWords(job.options), "-n", String(job.n), "--seed", String(job.seed), "--out", "layouts");
  return words.map(quoted).join(" ");
}

/** @param {import("./types.js").Edit} edit */
export function editText(edit) {
  const head = `${edit.kind}:${edit.labels.join(",")}`;
  if (edit.kind === "perturb") return `${head}=${edit.strength ?? 1}`;
  if (edit.kind === "interpolate") return `${head}=other.png@${edit.amount ?? 1}`;
  return head;
}
