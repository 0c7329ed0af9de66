/** The panel of photos: what each is used for, and its frame. */

import { isMiddle, middle } from "../core/frames.js";
import { sameLook, withoutPhoto } from "../core/looks.js";
import { $, h, icon, say } from "./dom.js";
import { frameByHand, framedCanvas } from "./frame.js";
import { photoSource, placed } from "./look.js";
import { fillModels } from "./models.js";

/** @typedef {import("../core/types.js").Photo} Photo */

export class Photos {
  /** @param {import("../editor.js").Editor} editor @param {import("../jobs.js").Jobs} jobs @param {(text: string) => void} changed */
  constructor(editor, jobs, changed) {
    this.editor = editor;
    this.jobs = jobs;
    this.changed = changed;
    editor.on(["photos", "synthesizer", "value", "map"], () => this.show());
    editor.on(["photos"], () => this.fillUnder());
    $("under").addEventListener("change", () => {
      const under = $("under").value;
      editor.set({ under, opacity: under !== "none" && editor.state.opacity === 100 ? 60 : editor.state.opacity });
    });
    $("opacity").addEventListener("input", () => editor.set({ opacity: Number($("opacity").value) }));
    editor.on(["opacity"], () => ($("opacity").value = editor.state.opacity));
    $("parser-field").hidden = !editor.facts.parsers.length;
    $("parser").addEventListener("change", () => editor.set({ parser: $("parser").value }));
    editor.on(["parser", "map"], () => fillModels($("parser"), editor.facts.parsers, editor.state.parser));
  }

  fillUnder() {
    const { photos, under } = this.editor.state;
    const options = [["none", "nothing"], ["picture", "the picture"], ...Object.values(photos).map((photo) => [photo.id, photo.name])];
    $("under").replaceChildren(...options.map(([value, text]) => h("option", { value, textContent: text })));
    $("under").value = under in photos || under === "picture" ? under : "none";
  }

  /** A file becomes a photo of this work; its map is read at once. @param {Blob} blob @param {string} name */
  async add(blob, name) {
    const answer = await this.editor.engine.addPhoto(blob);
    const known = this.editor.state.photos[answer.photo];
    if (known) { say(`${known.name} is here already.`); return known; }
    const { [answer.photo]: _, ...attic } = this.editor.state.attic;
    this.editor.set({ attic });
    const photo = { id: answer.photo, blob, name, width: answer.width, height: answer.height, frame: null, map: null };
    this.put(photo);
    this.editor.tell(answer.notes ?? []);
    return (await this.read(photo)) ?? photo;
  }

  /** @param {Photo} photo */
  put(photo) {
    this.editor.set({ photos: { ...this.editor.state.photos, [photo.id]: photo } });
  }

  /** The photo's map by the parser. @param {Photo} photo @returns {Promise<Photo | null>} */
  async read(photo) {
    if (!this.editor.model("parsers", this.editor.state.parser)?.available) return null;
    const result = await this.jobs.parse(photo.id, photo.frame ?? undefined);
    const now = this.editor.state.photos[photo.id];
    if (!result || !now || now.frame !== photo.frame) return null;
    const done = { ...now, map: result.map };
    this.put(done);
    this.editor.tell(result.notes ?? []);
    return done;
  }

  /** @param {Photo} photo */
  async frame(photo) {
    const frame = await frameByHand(photo);
    if (!frame) return;
    const changed = { ...photo, frame: isMiddle(frame, photo) ? null : frame, map: null };
    this.put(changed);
    const read = (await this.read(changed)) ?? changed;
    // what takes its look or pixels from this photo follows the new frame
    const { look } = this.editor.state;
    /** @param {import("../core/types.js").Source} source */
    const follow = (source) => (source.kind === "photo" && source.photo === photo.id ? photoSource(read) : source);
    const next = {
      ...look, base: follow(look.base), parts: look.parts.map((part) => ({ ...part, source: follow(part.source) })), mix: look.mix && { ...look.mix, source: follow(look.mix.source) },
      keep: look.keep?.photo === photo.id ? { ...placed(read), classes: look.keep.classes } : look.keep,
    };
    if (sameLook(next, look)) return;
    this.editor.setLook(next, `Frame of ${photo.name}`);
    this.changed(`frame of ${photo.name}`);
  }

  /** @param {string} id @param {"map" | "look" | "class" | "both" | "under" | "keep"} use */
  async use(id, use) {
    const { editor } = this;
    let photo = editor.state.photos[id];
    if (!photo.map && use !== "under") photo = (await this.read(photo)) ?? photo;
    const text = `${photo.name}: ${use === "both" ? "map and look" : use}`;
    if (use === "under") return editor.set({ under: id, opacity: editor.state.opacity === 100 ? 60 : editor.state.opacity });
    if ((use === "map" || use === "both") && photo.map) editor.setMap(photo.map, `Map of ${photo.name}`, { kind: "parse", photo: id, parser: editor.state.parser });
    if (use === "look" || use === "both") editor.setLook({ ...editor.state.look, base: photoSource(photo) }, `Look of ${photo.name}`);
    if (use === "class") {
      const { name } = editor.space.classes[editor.state.value];
      editor.setLook({ ...editor.state.look, parts: [...editor.state.look.parts.filter((part) => part.locked || part.layers || part.labels?.join() !== name), { labels: [name], layers: null, source: photoSource(photo) }] }, `Look of ${name} from ${photo.name}`);
    }
    this.changed(text);
  }

  /** @param {string} id */
  remove(id) {
    const { editor } = this;
    const { name } = editor.state.photos[id];
    const was = editor.state.look;
    editor.removePhoto(id, withoutPhoto(was, id, 1));
    say(`${name} is removed; undo brings it back.`);
    if (editor.state.look !== was) this.changed(`without ${name}`);
  }

  show() {
    const { editor } = this;
    const { photos, value } = editor.state;
    const model = editor.synthesizer;
    const takes = model?.can.includes("style:photo") ?? false;
    const partial = takes && (model?.can.includes("style:partial") ?? false);
    const { name: chosen } = editor.space.classes[value];
    const card = (/** @type {Photo} */ photo) => {
      const thumb = h("span", { className: "photo-thumb" });
      void framedCanvas(photo, photo.frame ?? middle(photo.width, photo.height), 96).then((canvas) => { canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", photo.name); thumb.replaceChildren(canvas); }).catch(() => {});
      const button = (/** @type {string} */ text, /** @type {any} */ use, off = false, title = "") =>
        h("button", { type: "button", className: "small", disabled: off, title, "aria-label": `${text}: ${photo.name}`, onclick: () => this.use(photo.id, use) }, text);
      const lack = takes ? "" : `${model?.id ?? "No synthesizer"} takes no look from photos`;
      return h("article", { className: "photo" }, thumb, h("div", { className: "photo-facts" },
        h("p", { className: "name", title: photo.name }, photo.name), h("p", { className: "hint" }, `${photo.width} × ${photo.height}${photo.map ? "" : ", not read yet"}`),
        h("div", { className: "row wrap" }, button("Map and look", "both", !takes, lack), button("Map", "map"), button("Look", "look", !takes, lack), partial && button(`Look of ${chosen}`, "class"), button("Under layout", "under"),
          h("button", { type: "button", className: "small", "aria-label": `Frame: ${photo.name}`, onclick: () => this.frame(photo) }, "Frame…"),
          h("button", { type: "button", className: "icon", title: "Remove", "aria-label": `Remove ${photo.name}`, onclick: () => this.remove(photo.id) }, icon("bin")))));
    };
    const list = $("photo-list");
    const focused = list.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-label") : null;
    list.replaceChildren(...Object.values(photos).map(card));
    if (focused) list.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }
}
