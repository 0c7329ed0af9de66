/** The exported models of the folder: what `zoo export` says of each, its graphs loaded when they are first needed. */

import { EngineError } from "../errors.js";
import { floats, readSafetensors, sizeOf } from "./tensors.js";

/** @typedef {import("./tensors.js").Tensor} Tensor @typedef {import("./rng.js").Rng} Rng */
/**
 * @typedef {{name: string, holds: string, dtype: "float32" | "int32", shape: (number | string)[], axes: string[], keys?: (string | number)[][]}} Port
 * @typedef {{file: string, sha256: string, inputs: Port[], outputs: Port[]}} Graph
 * @typedef {{
 *   model: string, kind: string, digest: string, resolution: [number, number], channels: string[],
 *   label_space: {name: string, classes: {name: string, color: string}[], background: number | null},
 *   labels: {least: number, most: number, unlabeled: number | null}, graphs: Record<string, Graph>, recipe: any, tensors?: {file: string}
 * }} Described
 * @typedef {{
 *   facts: import("../../core/types.js").Facts, models: Record<string, string>, labelSets: Record<string, {labels: string[], count: number}[]>,
 *   mappings: Record<string, {table: number[], dropped: string[]}>
 * }} Site
 *   models: by id the folder and name of its description; mappings: "a>b", numbers of space a in space b, -1: none.
 * @typedef {{inputNames: readonly string[], run(feeds: Record<string, any>): Promise<Record<string, {data: any, dims: readonly number[]}>>}} Session
 * @typedef {{create(graph: ArrayBuffer): Promise<Session>, tensor(dtype: string, data: any, dims: number[]): any}} Runtime
 * @typedef {(path: string) => Promise<ArrayBuffer>} Fetch  of a file of the folder
 */

/** Sessions that are kept; a session takes several times its file. */
const KEPT = 8;

export class Models {
  /** @param {Site} site @param {Fetch} fetch @param {Runtime} runtime */
  constructor(site, fetch, runtime) {
    this.site = site;
    this.fetch = fetch;
    this.runtime = runtime;
    /** @type {Map<string, Promise<ExportedModel>>} */
    this.models = new Map();
    /** @type {Map<string, Promise<Session>>} the one used last at the end */
    this.sessions = new Map();
  }

  /** @param {string} id @returns {Promise<ExportedModel>} */
  get(id) {
    const path = this.site.models[id];
    if (!path) throw new EngineError(`The model ${id} is not in this page (there are: ${Object.keys(this.site.models).join(", ")}).`);
    const known = this.models.get(id) ?? this.load(path).catch((error) => (this.models.delete(id), Promise.reject(error)));
    this.models.set(id, known);
    return known;
  }

  /** @param {string} path */
  async load(path) {
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    /** @type {Described} */
    const described = JSON.parse(new TextDecoder().decode(await this.fetch(path)));
    const tensors = described.tensors ? readSafetensors(await this.fetch(folder + described.tensors.file)) : {};
    return new ExportedModel(this, folder, described, tensors);
  }

  /** @param {string} path @returns {Promise<Session>} */
  session(path) {
    const known = this.sessions.get(path) ?? this.fetch(path).then((content) => this.runtime.create(content));
    known.catch(() => this.sessions.delete(path));
    this.sessions.delete(path);
    this.sessions.set(path, known);
    for (const old of this.sessions.keys()) {
      if (this.sessions.size <= KEPT) break;
      this.sessions.delete(old);
    }
    return known;
  }
}

export class ExportedModel {
  /** @param {Models} owner @param {string} folder @param {Described} described @param {Record<string, Tensor>} tensors */
  constructor(owner, folder, described, tensors) {
    this.owner = owner;
    this.folder = folder;
    this.described = described;
    this.tensors = tensors;
    this.recipe = described.recipe;
    this.channels = described.channels;
    this.resolution = described.resolution;
    this.space = described.label_space;
    this.names = this.space.classes.map(({ name }) => name);
    /** the number of each channel in the label space */
    this.values = this.channels.map((name) => this.names.indexOf(name));
  }

  /** @param {string} name */
  has(name) {
    return name in this.described.graphs;
  }

  /** @param {string} graph @param {string} input @returns {number[]} the sizes of an input of batch 1 */
  dims(graph, input) {
    const port = this.described.graphs[graph].inputs.find(({ name }) => name === input);
    if (!port) throw new EngineError(`The graph ${graph} of ${this.described.model} has no input ${input}.`);
    return [1, .../** @type {number[]} */ (port.shape.slice(1))];
  }

  /** The random input of a graph, drawn from its own keys. @param {string} graph @param {string} input @param {Rng} rng @returns {Tensor} */
  drawn(graph, input, rng) {
    const port = /** @type {Port} */ (this.described.graphs[graph].inputs.find(({ name }) => name === input));
    const dims = this.dims(graph, input);
    return { data: rng.normals(port.keys ?? [[input]], sizeOf(dims)), dims };
  }

  /**
   * Run a graph for one sample. Numbers of maps are looked at before: a graph takes any without a word.
   * @param {string} graph @param {Record<string, Tensor>} inputs
   * @returns {Promise<Record<string, Tensor>>}
   */
  async run(graph, inputs) {
    const described = this.described.graphs[graph];
    for (const port of described.inputs) if (port.holds === "labels") this.checkLabels(inputs[port.name]);
    const session = await this.owner.session(this.folder + described.file);
    /** @type {Record<string, any>} */
    const feeds = {};
    for (const port of described.inputs) {
      const given = inputs[port.name] ?? floats(this.dims(graph, port.name));
      feeds[port.name] = this.owner.runtime.tensor(port.dtype, given.data, given.dims);
    }
    const made = await session.run(feeds);
    return Object.fromEntries(described.outputs.map(({ name }) => [name, { data: made[name].data, dims: [...made[name].dims] }]));
  }

  /** @param {Tensor} tensor */
  checkLabels({ data }) {
    const { most, unlabeled } = this.described.labels;
    const bad = data.find((value) => value < 0 || (value > most && value !== unlabeled));
    if (bad !== undefined) throw new EngineError(`The map holds the number ${bad}, which the label space ${this.space.name} (0 to ${most}) lacks.`);
  }
}
