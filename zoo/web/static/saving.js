/** The work goes to the browser's storage after every change, and comes back from there. */

import { emptyHistory } from "./core/history.js";
import { plainLook } from "./core/looks.js";
import { mapFault } from "./core/maps.js";

/** @typedef {import("./editor.js").Editor} Editor @typedef {import("./storage.js").Storage} Storage */

/** Steps of the undo list that outlive a reload. */
const STEPS = 200;
const KEYS = ["map", "look", "history", "steps", "tool", "size", "value", "lastValue", "opacity", "pressure", "singleKeys", "generator", "synthesizer", "parser", "live", "hidden", "under", "options"];

export class Saving {
  /** @param {Editor} editor @param {Storage | null} storage */
  constructor(editor, storage) {
    this.editor = editor;
    this.storage = storage;
    this.waiting = 0;
    this.writing = Promise.resolve();
    /** What lies in the storage. @type {{photos: Map<string, any>, strip: Map<number, any>}} */
    this.there = { photos: new Map(), strip: new Map() };
    this.touched = false;
    if (!storage) editor.set({ kept: "This browser keeps nothing: save your work as a project" });
    else editor.on([...KEYS, "photos", "attic", "strip"], () => this.soon());
    addEventListener("pagehide", () => { if (this.waiting) this.now(); });
    document.addEventListener("visibilitychange", () => { if (document.hidden && this.waiting) this.now(); });
  }

  /** Changes of one stroke come together. */
  soon() {
    const { history, photos } = this.editor.state;
    // an untouched page is no work
    if (!this.touched && !history.undo.length && !Object.keys(photos).length) return;
    this.touched = true;
    document.body.dataset.kept = "false";
    if (!this.waiting) this.waiting = setTimeout(() => this.now(), 0);
  }

  now() {
    clearTimeout(this.waiting);
    this.waiting = 0;
    const own = (this.writing = this.writing.then(() => this.write()).then(() => {
      if (this.writing === own && !this.waiting) document.body.dataset.kept = "true";
    }, (error) => {
      this.editor.set({ kept: `Not kept in this browser (${error?.name ?? error}): save your work as a project` });
    }));
    return own;
  }

  async write() {
    const { storage, editor } = this;
    if (!storage) return;
    const state = /** @type {Record<string, any>} */ (editor.state);
    const { history, picture, strip, photos, attic } = editor.state;
    const record = Object.fromEntries(KEYS.map((key) => [key, state[key]]));
    record.removed = Object.keys(attic);
    record.history = { undo: history.undo.slice(-STEPS), redo: history.redo.slice(-STEPS) };
    await this.parts("photos", [...Object.values(photos), ...Object.values(attic)]);
    await this.parts("strip", strip);
    await storage.saveWork({ ...record, map: state.map, session: editor.session, saved: Date.now(), stale: state.stale, picture });
    editor.set({ kept: `Kept in this browser, ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` });
  }

  /** Only what is new or gone. @param {"photos" | "strip"} kind @param {any[]} records */
  async parts(kind, records) {
    const there = /** @type {Map<any, any>} */ (this.there[kind]);
    const fresh = records.filter((record) => there.get(record.id) !== record);
    const gone = [...there.keys()].filter((id) => !records.some((record) => record.id === id));
    if (!fresh.length && !gone.length) return;
    await this.storage?.saveParts(kind, this.editor.session, fresh, gone);
    for (const record of fresh) there.set(record.id, record);
    for (const id of gone) there.delete(id);
  }

  /** Work of this browser into the page. False: there is none, or it does not fit what is installed. @param {string} session */
  async restore(session) {
    const { storage, editor } = this;
    const record = (await storage?.works())?.find((work) => work.session === session);
    if (!storage || !record) return false;
    const space = editor.facts.spaces[record.map.space];
    if (!space || mapFault(record.map, space)) return false;
    const photos = await storage.parts("photos", session);
    const strip = (await storage.parts("strip", session)).sort((a, b) => a.id - b.id).filter((one) => editor.facts.spaces[one.map.space]);
    const known = Object.fromEntries(KEYS.filter((key) => key in record).map((key) => [key, record[key]]));
    this.touched = true;
    editor.set({ ...known, ...modelsThatAreHere(editor, record), ...shelved(photos, record), strip, picture: record.picture ?? null, before: null, stale: record.stale ?? true, proposals: [] });
    if (session === editor.session) {
      this.there = { photos: new Map(photos.map((photo) => [photo.id, photo])), strip: new Map(strip.map((one) => [one.id, one])) };
    }
    return true;
  }

  /** The page as it began; what it held stays among the earlier works. @param {string} session a new one */
  begin(session) {
    const { editor } = this;
    editor.session = session;
    this.there = { photos: new Map(), strip: new Map() };
    this.touched = false;
    const map = { ...editor.state.map, labels: new Uint8Array(editor.state.map.labels.length).fill(editor.space.background) };
    editor.set({ map, look: plainLook(), history: emptyHistory(), steps: [], photos: {}, attic: {}, strip: [], picture: null, before: null, pinned: null, proposals: [], stale: true, under: "none", opacity: 100, hidden: new Set(), notice: "", problem: "", kept: "" });
  }
}

/** Photos of a work: those that are there, and those that an undo brings back. @param {any[]} photos @param {any} record */
function shelved(photos, record) {
  const removed = new Set(record.removed ?? []);
  const undoable = new Set([...record.history.undo, ...record.history.redo].map((/** @type {any} */ step) => step.removed));
  const by = (/** @type {any[]} */ some) => Object.fromEntries(some.map((photo) => [photo.id, photo]));
  return { photos: by(photos.filter((photo) => !removed.has(photo.id))), attic: by(photos.filter((photo) => removed.has(photo.id) && undoable.has(photo.id))) };
}

/** @param {Editor} editor @param {any} record */
function modelsThatAreHere(editor, record) {
  const is = (/** @type {"generators" | "synthesizers" | "parsers"} */ kind, /** @type {string} */ id) => editor.model(kind, id)?.available;
  return {
    generator: is("generators", record.generator) ? record.generator : editor.state.generator,
    synthesizer: is("synthesizers", record.synthesizer) ? record.synthesizer : editor.state.synthesizer,
    parser: is("parsers", record.parser) ? record.parser : editor.state.parser,
  };
}
