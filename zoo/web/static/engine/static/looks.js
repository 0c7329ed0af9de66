/** The style of a picture, put together from a job's sources as the server and `zoo compose --style` do it. */

import { EngineError } from "../errors.js";
import { framed } from "./photos.js";
import { Rng } from "./rng.js";
import { blend, fill, lacking, take } from "./styles.js";
import { flags, floats, mapTensor } from "./tensors.js";

/** @typedef {import("./styles.js").Style} Style @typedef {import("./models.js").ExportedModel} ExportedModel */
/** @typedef {import("../../core/types.js").LabelMap} LabelMap @typedef {import("../../core/types.js").Source} Source @typedef {import("../../core/types.js").Part} Part */

export class Looks {
  /**
   * @param {import("./models.js").Models} models @param {import("./photos.js").Photos} photos @param {ExportedModel} model
   * @param {LabelMap} map at the model's resolution, in its space @param {Set<string>} shown the classes that it shows @param {any} job
   */
  constructor(models, photos, model, map, shown, job) {
    this.models = models;
    this.photos = photos;
    this.model = model;
    this.map = map;
    this.shown = shown;
    this.job = job;
    this.form = model.recipe.style;
    /** @type {Set<string>} */
    this.notes = new Set();
    /** @type {Map<string, Promise<Style>>} */
    this.encoded = new Map();
  }

  /** @returns {Promise<Style | null>} null for a synthesizer without style */
  async build() {
    const { base, parts, mix } = this.job.style;
    if (!this.form) {
      if (parts.length || mix || base.kind === "photo") this.notes.add(`${this.model.described.model} has no style: its picture depends on the map alone.`);
      return null;
    }
    const whole = { labels: null, layers: null, source: base };
    let style = await this.combined(null, [whole, ...(await this.usable(parts.filter((/** @type {Part} */ part) => !part.locked)))]);
    if (mix && mix.amount > 0) {
      const end = await this.combined(null, [{ ...whole, source: mix.source }]);
      style = blend(style, fill(end, style), mix.amount, null, null);
    }
    const locked = await this.usable(parts.filter((/** @type {Part} */ part) => part.locked));
    return locked.length ? this.combined(style, locked) : style;
  }

  /** @param {Style | null} start @param {Part[]} parts @returns {Promise<Style>} */
  async combined(start, parts) {
    let style = start;
    for (const { labels, layers, source } of parts) {
      const made = await this.source(source);
      style = style === null ? made : take(style, made, labels, layers);
      // now, so that a later source can change one layer of a class that this one lacks
      if (lacking(style, this.shown).length && this.form.absent === "prior") style = fill(style, await this.prior(this.stream(), false));
    }
    if (style === null) throw new EngineError("A style needs a source.");
    const absent = lacking(style, this.shown);
    if (absent.length) this.notes.add(`The style has no ${absent.join(", ")}: the model fills in its own.`);
    return style;
  }

  /** The parts whose classes the map shows, and their photos too. @param {Part[]} parts @returns {Promise<Part[]>} */
  async usable(parts) {
    /** @type {Part[]} */
    const out = [];
    for (const part of parts) {
      if ((part.labels === null && part.layers === null) || !this.form.classes.length) {
        out.push(part);
        continue;
      }
      let there = (part.labels ?? this.model.names).filter((name) => this.shown.has(name) && this.form.classes.includes(name));
      if (part.source.kind === "photo" && there.length) {
        const { present, classes } = await this.source(part.source);
        const missing = there.filter((name) => present && !present[classes.indexOf(name)]);
        if (missing.length) this.notes.add(`The photo shows no ${missing.join(", ")}: the style stays as it was there.`);
        there = there.filter((name) => !missing.includes(name));
      }
      if (there.length) out.push({ ...part, labels: there });
    }
    return out;
  }

  stream() {
    return new Rng(this.job.seed ?? 0, 0, ["style"]);
  }

  /** @param {Source} source @returns {Promise<Style>} */
  source(source) {
    const key = JSON.stringify(source, (_, value) => (value instanceof Uint8Array ? Array.from(value).join() : value));
    const known = this.encoded.get(key) ?? this.fresh(source);
    this.encoded.set(key, known);
    return known;
  }

  /** @param {Source} source @returns {Promise<Style>} */
  async fresh(source) {
    const name = this.model.described.model;
    if (source.kind === "photo") {
      if (!this.model.has("photo")) throw new EngineError(`${name} takes no style from a photo.`);
      return this.photo(source);
    }
    if (source.kind === "mean") {
      if (!this.form.mean) throw new EngineError(`${name} takes no style from a mean.`);
      return this.form.mean === "tensors" ? this.mean(this.stream()) : this.prior(this.stream(), true);
    }
    if (!this.model.has("prior")) throw new EngineError(`${name} takes no style from a seed.`);
    return this.prior(new Rng(source.seed, 0, ["style"]), false);
  }

  /** A draw of the prior for the classes that the map shows. @param {Rng} rng @param {boolean} still zeros in place of noise @returns {Promise<Style>} */
  async prior(rng, still) {
    /** @type {Record<string, import("./tensors.js").Tensor>} */
    const inputs = {};
    const ports = this.model.described.graphs.prior.inputs;
    for (const { name, holds } of ports) {
      if (holds === "normal") inputs[name] = still ? floats(this.model.dims("prior", name)) : this.model.drawn("prior", name, rng);
      else inputs[name] = flags(this.model.channels, this.shown);
    }
    const tensors = await this.model.run("prior", inputs);
    const byShown = ports.some(({ holds }) => holds !== "normal");
    const present = byShown ? this.form.classes.map((/** @type {string} */ one) => this.shown.has(one)) : null;
    return this.style(tensors, present, present && present.map((/** @type {boolean} */ is) => this.form.layers.map(() => is)), null);
  }

  /** @param {Rng} rng @returns {Style} */
  mean(rng) {
    /** @type {Record<string, import("./tensors.js").Tensor>} */
    const tensors = {};
    for (const name of Object.keys(this.form.tensors)) {
      const { data, dims } = this.model.tensors[`mean.${name}`];
      tensors[name] = { data, dims: [1, ...dims] };
    }
    const present = this.model.tensors["mean.present"];
    return this.style(tensors, present ? Array.from(present.data, (value) => value > 0) : null, null, rng);
  }

  /** @param {import("../../core/types.js").PhotoSource} source */
  async photo(source) {
    const { image, map } = await framed(this.models, this.photos, source, this.model, this.job.parser);
    const made = await this.model.run("photo", { image, labels: mapTensor(map) });
    const { present, visible, ...tensors } = made;
    const layers = this.form.layers.length;
    const there = present ? Array.from(present.data, (value) => value > 0) : null;
    const seen = visible && there ? there.map((_, i) => Array.from(visible.data.subarray(i * layers, (i + 1) * layers), (value) => value > 0)) : null;
    return this.style(tensors, there, seen, null);
  }

  /** @param {Record<string, import("./tensors.js").Tensor>} tensors @param {boolean[] | null} present @param {boolean[][] | null} visible @param {Rng | null} rng @returns {Style} */
  style(tensors, present, visible, rng) {
    return { tensors, axes: this.form.tensors, classes: this.form.classes, layers: this.form.layers, present, visible, rng };
  }
}
