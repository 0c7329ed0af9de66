/** The state of the page and its changes. Views listen to the keys that they show; every change of the work is a step to undo. */

import { emptyHistory, mapStep, walk, withStep } from "./core/history.js";
import { plainLook, sameLook } from "./core/looks.js";
import { createMap } from "./core/maps.js";

/** @typedef {import("./core/types.js").LabelMap} LabelMap @typedef {import("./core/types.js").Look} Look */
/** @typedef {import("./core/types.js").Photo} Photo @typedef {import("./core/types.js").Picture} Picture */
/** @typedef {import("./core/types.js").Model} Model @typedef {import("./core/types.js").Snapshot} Snapshot */
/**
 * @typedef {{
 *   map: LabelMap, look: Look, history: import("./core/types.js").History, steps: any[],
 *   tool: string, size: number, value: number, lastValue: number, hidden: Set<number>, opacity: number, under: string, pressure: boolean,
 *   singleKeys: boolean, photos: Record<string, Photo>, attic: Record<string, Photo>, options: Record<string, import("./core/types.js").Options>, generator: string, synthesizer: string, parser: string, live: boolean,
 *   proposals: {map: LabelMap, text: string, step: any}[], picture: Picture | null, before: Picture | null, pinned: Picture | null,
 *   stale: boolean, strip: Snapshot[], busy: null | {text: string, done: number, total: number, stop: () => void, picture: boolean},
 *   problem: string, notice: string, fresh: boolean, kept: string, lost: boolean, seconds: number | null
 * }} State
 *   attic: photos that were removed and come back when that is undone. options: of generators, by their ids.
 */

/** Snapshots in the strip; undo goes on beyond them. */
export const STRIP = 60;

export class Editor {
  /** @param {import("./core/types.js").Facts} facts @param {import("./core/types.js").Engine} engine @param {string} session */
  constructor(facts, engine, session) {
    this.facts = facts;
    this.engine = engine;
    this.session = session;
    /** @type {{keys: string[], listener: () => void}[]} */
    this.listeners = [];
    const synthesizer = firstOf(facts.synthesizers);
    const [space, resolution] = synthesizer ? [synthesizer.space, synthesizer.resolution] : [Object.keys(facts.spaces)[0], [128, 128]];
    const map = createMap(resolution[1], resolution[0], space, facts.spaces[space].background);
    /** @type {State} */
    this.state = {
      map, look: plainLook(), history: emptyHistory(), steps: [],
      tool: "brush", size: 6, value: Math.min(1, facts.spaces[space].classes.length - 1), lastValue: facts.spaces[space].background,
      hidden: new Set(), opacity: 100, under: "none", pressure: false, singleKeys: true, photos: {}, attic: {}, options: {},
      generator: bestFor(facts.generators, space)?.id ?? "", synthesizer: synthesizer?.id ?? "", parser: bestFor(facts.parsers, space)?.id ?? "",
      live: !synthesizer?.slow, proposals: [], picture: null, before: null, pinned: null, stale: true, strip: [], busy: null,
      problem: "", notice: "", fresh: true, kept: "", lost: false, seconds: null,
    };
  }

  /** Call `listener` now, and whenever one of the keys changes. @param {string[]} keys @param {() => void} listener */
  on(keys, listener) {
    this.listeners.push({ keys, listener });
    listener();
  }

  /** @param {Partial<State>} changes */
  set(changes) {
    const state = /** @type {Record<string, any>} */ (this.state);
    const changed = Object.entries(changes).filter(([key, value]) => state[key] !== value).map(([key]) => key);
    if (!changed.length) return;
    Object.assign(state, changes);
    for (const { keys, listener } of this.listeners) if (keys.some((key) => changed.includes(key))) listener();
  }

  /** The label space of the layout. */
  get space() {
    return this.facts.spaces[this.state.map.space];
  }

  /** @param {"generators" | "synthesizers" | "parsers"} kind @param {string} id @returns {Model | undefined} */
  model(kind, id) {
    return this.facts[kind].find((model) => model.id === id);
  }

  /** @returns {Model | undefined} */
  get synthesizer() {
    return this.model("synthesizers", this.state.synthesizer);
  }

  /** A new layout, as a step. False: it is the old one. @param {LabelMap} map @param {string} text @param {any} [made] the job that made it, or more about it */
  setMap(map, text, made) {
    const step = mapStep(this.state.map, map, text);
    if (!step) return false;
    this.set({ history: withStep(this.state.history, step), ...this.fitting(map), stale: true, steps: [...this.state.steps, made ?? { kind: "paint", text }] });
    return true;
  }

  /** Another look, as a step; those of one slider (`merge`) become one. @param {Look} look @param {string} text @param {boolean} [merge] */
  setLook(look, text, merge = false) {
    if (sameLook(look, this.state.look)) return;
    const { undo } = this.state.history;
    const last = undo[undo.length - 1];
    const step = { text, looks: { was: this.state.look, now: look } };
    const merged = merge && last?.looks && last.text === text ? { undo: [...undo.slice(0, -1), { ...step, looks: { was: last.looks.was, now: look } }], redo: [] } : null;
    this.set({ history: merged ?? withStep(this.state.history, step), look, stale: true });
  }

  /** @param {"undo" | "redo"} way @returns {string | null} what was undone */
  walk(way) {
    const { history, map, look } = this.state;
    const found = walk(history, way, { map, look });
    if (!found) return null;
    const photos = found.removed ? this.moved(found.removed, way === "undo") : {};
    const stale = this.state.stale || found.map !== map || found.look !== look;
    this.set({ history: found.history, look: found.look, ...photos, ...this.fitting(found.map), stale, steps: [...this.state.steps, { kind: way, text: found.text }] });
    return found.text;
  }

  /** A photo leaves the work, as a step; what has its look from it takes another. @param {string} id @param {Look} look without it */
  removePhoto(id, look) {
    const { history, photos, look: was } = this.state;
    const same = sameLook(look, was);
    const step = { text: `Without ${photos[id].name}`, removed: id, ...(same ? {} : { looks: { was, now: look } }) };
    this.set({ history: withStep(history, step), ...this.moved(id, false), ...(same ? {} : { look, stale: true }) });
  }

  /** A photo taken out of the attic, or put there. @param {string} id @param {boolean} back @returns {Partial<State>} */
  moved(id, back) {
    const { photos, attic, under } = this.state;
    const [from, to] = back ? [attic, photos] : [photos, attic];
    if (!from[id]) return {};
    const { [id]: photo, ...rest } = from;
    const known = { ...to, [id]: to[id] ?? photo };
    return back ? { photos: known, attic: rest } : { photos: rest, attic: known, under: under === id ? "none" : under };
  }

  /** Photos that are gone, but that a look names, are there again. @param {string[]} ids */
  recall(ids) {
    for (const id of ids) this.set(this.moved(id, true));
  }

  /** A map, and models and class that fit its space. @param {LabelMap} map @returns {Partial<State>} */
  fitting(map) {
    const { state, facts } = this;
    if (map.space === state.map.space) return { map };
    const fits = (/** @type {Model | undefined} */ model) => model?.available && model.joins[map.space] === null;
    const synthesizer = fits(this.synthesizer) ? this.synthesizer : facts.synthesizers.find(fits);
    const parser = facts.parsers.find((model) => model.id === state.parser && model.space === map.space) ?? bestFor(facts.parsers, map.space);
    return {
      map, hidden: new Set(), value: Math.min(1, facts.spaces[map.space].classes.length - 1), lastValue: facts.spaces[map.space].background,
      synthesizer: synthesizer?.id ?? "", parser: parser?.id ?? "",
      generator: this.model("generators", state.generator)?.space === map.space ? state.generator : bestFor(facts.generators, map.space)?.id ?? state.generator,
    };
  }

  /** The class that tools paint. @param {number} value */
  choose(value) {
    if (value !== this.state.value && value >= 0 && value < this.space.classes.length) this.set({ lastValue: this.state.value, value });
  }

  /** Models, photos or projects had this to say. @param {string[]} notes */
  tell(notes) {
    if (notes.length) this.set({ notice: notes.join(" "), fresh: false });
  }
}

/** @param {Model[]} models */
function firstOf(models) {
  return models.find((model) => model.default && model.available) ?? models.find((model) => model.available);
}

/** The first model for a space: of that very space, else one that joins. @param {Model[]} models @param {string} space */
function bestFor(models, space) {
  const there = models.filter((model) => model.available);
  return firstOf(there.filter((model) => model.space === space)) ?? there.find((model) => model.joins?.[space] === null) ?? firstOf(there);
}
