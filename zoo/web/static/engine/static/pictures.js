/** The job "render": the picture of a map. */

import { encodePng } from "../../core/png.js";
import { sha256 } from "../../core/sha256.js";
import { Looks } from "./looks.js";
import { framed } from "./photos.js";
import { resizeMap } from "./resample.js";
import { Rng } from "./rng.js";
import { mapped, shownNames } from "./spaces.js";
import { fill } from "./styles.js";
import { mapTensor } from "./tensors.js";

/** @typedef {import("./models.js").Models} Models @typedef {import("./photos.js").Photos} Photos */

/** @param {Models} models @param {Photos} photos @param {import("../../core/types.js").RenderJob} job @param {import("./layouts.js").Work} work */
export async function render(models, photos, job, work) {
  const begun = performance.now();
  await work.done(0, 3, "Loading the model");
  const model = await models.get(job.synthesizer);
  const { map: whole, dropped } = mapped(models.site, job.map, model.space.name);
  const map = resizeMap(whole, model.resolution);
  const notes = dropped.length ? [`${job.synthesizer} has no ${dropped.join(", ")}: there stands the background.`] : [];
  await work.done(1, 3, "Reading the style");
  const looks = new Looks(models, photos, model, map, new Set(shownNames(models.site, map)), job);
  const style = await looks.build();
  await work.done(2, 3, "Painting the picture");
  const image = await painted(model, map, style, looks, job.seed ?? 0);
  if (job.keep?.classes.length) await keep(models, photos, image, job, map, model);
  const pixels = toPixels(image.data, map.width * map.height);
  const png = await encodePng({ width: map.width, height: map.height, data: pixels, channels: 3 });
  return {
    image: new Blob([png], { type: "image/png" }), width: map.width, height: map.height,
    seconds: (performance.now() - begun) / 1000, notes: [...notes, ...looks.notes], digest: sha256(pixels),
  };
}

/**
 * @param {import("./models.js").ExportedModel} model @param {import("../../core/types.js").LabelMap} map
 * @param {import("./styles.js").Style | null} style @param {Looks} looks @param {number} seed
 */
async function painted(model, map, style, looks, seed) {
  /** @type {Record<string, import("./tensors.js").Tensor>} */
  const inputs = { labels: mapTensor(map) };
  if (style) {
    const completed = looks.form.absent === "mean" ? fill(style, looks.mean(looks.stream())) : style;
    Object.assign(inputs, completed.tensors);
    // what a synthesizer draws while it works comes from its style's own stream, else from the picture's
    const noise = looks.form.noise;
    if (noise) inputs[noise] = model.drawn("render", noise, style.rng ?? new Rng(seed, 0, ["image"]));
  }
  const { image } = await model.run("render", inputs);
  return { ...image, data: Float32Array.from(image.data) };
}

/**
 * The photo's own pixels where both maps show one of the classes, in place.
 * @param {Models} models @param {Photos} photos @param {import("./tensors.js").Tensor} image @param {any} job
 * @param {import("../../core/types.js").LabelMap} map @param {import("./models.js").ExportedModel} model
 */
async function keep(models, photos, image, job, map, model) {
  const before = await framed(models, photos, job.keep, model, job.parser);
  const kept = new Set(job.keep.classes.map((/** @type {string} */ name) => model.names.indexOf(name)));
  const size = map.width * map.height;
  map.labels.forEach((value, i) => {
    if (kept.has(value) && kept.has(before.map.labels[i])) for (let plane = 0; plane < 3; plane++) image.data[plane * size + i] = before.image.data[plane * size + i];
  });
}

/** Rounded as the zoo rounds (halves to even), clipped. @param {ArrayLike<number>} planes @param {number} size @returns {Uint8Array} RGB */
export function toPixels(planes, size) {
  const out = new Uint8Array(3 * size);
  for (let i = 0; i < size; i++)
    for (let plane = 0; plane < 3; plane++) {
      const value = Math.fround(Math.min(Math.max(planes[plane * size + i], 0), 1) * 255);
      const low = Math.floor(value);
      out[3 * i + plane] = value - low === 0.5 ? low + (low & 1) : Math.round(value);
    }
  return out;
}
