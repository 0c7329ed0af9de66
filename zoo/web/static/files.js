/** Files that are dropped or chosen: projects, maps, photos. What one is, is asked where it could be two things. */

import { EngineError } from "./engine/errors.js";
import { $, ask, fillSelect, h, say } from "./view/dom.js";
import { openProject } from "./view/keep.js";
import { openPanel } from "./view/panels.js";

/** @typedef {import("./editor.js").Editor} Editor */

/** Largest project, in bytes of text. */
const LARGEST_PROJECT = 512 * 2 ** 20;

export class Files {
  /** @param {Editor} editor @param {import("./view/photos.js").Photos} photos @param {import("./jobs.js").Jobs} jobs @param {(text: string) => void} changed */
  constructor(editor, photos, jobs, changed) {
    this.editor = editor;
    this.photos = photos;
    this.jobs = jobs;
    this.changed = changed;
    this.wanted = "";
    $("file").addEventListener("change", () => { const { files } = $("file"); void this.openAll([...files], this.wanted).then(() => ($("file").value = "")); });
    this.listenToDrops();
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length) { event.preventDefault(); void this.openAll(files, ""); }
    });
  }

  /** @param {"" | "photo" | "map"} [wanted] */
  choose(wanted = "") {
    this.wanted = wanted;
    $("file").click();
  }

  /** A map of a file, for other uses than painting on it. @returns {Promise<{name: string, map: import("./core/types.js").LabelMap} | null>} */
  mapFromFile() {
    return new Promise((done) => {
      const input = h("input", { type: "file" });
      input.addEventListener("cancel", () => done(null));
      input.addEventListener("change", async () => {
        const file = input.files?.[0];
        try {
          done(file ? { name: file.name, map: (await this.editor.engine.addMap(file, file.name)).map } : null);
        } catch (error) {
          this.jobs.failed(error);
          done(null);
        }
      });
      input.click();
    });
  }

  listenToDrops() {
    let depth = 0;
    const over = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragenter", (event) => { if (over(event)) { depth++; $("drop-veil").hidden = false; } });
    addEventListener("dragleave", (event) => { if (over(event) && --depth <= 0) { depth = 0; $("drop-veil").hidden = true; } });
    addEventListener("dragover", (event) => { if (over(event)) event.preventDefault(); });
    addEventListener("drop", (event) => {
      depth = 0;
      $("drop-veil").hidden = true;
      const files = [...(event.dataTransfer?.files ?? [])];
      if (!files.length) return;
      event.preventDefault();
      void this.openAll(files, "");
    });
  }

  /** @param {File[]} files @param {string} wanted */
  async openAll(files, wanted) {
    for (const file of files) {
      try {
        await this.open(file, wanted);
      } catch (error) {
        if (error instanceof EngineError || error instanceof RangeError) {
          this.editor.set({ problem: `${file.name}: ${error.message}` });
          if (error instanceof EngineError && error.lost) void this.jobs.reconnect();
        } else this.jobs.failed(error);
      }
    }
  }

  /** @param {File} file @param {string} wanted */
  async open(file, wanted) {
    if (/\.json$/i.test(file.name)) {
      if (file.size > LARGEST_PROJECT) throw new RangeError("this project is too large.");
      await openProject(this.editor, await file.text(), (blob, name) => this.photos.add(blob, name));
      this.changed("project opened");
      say("The project is open.");
      return;
    }
    const { uploadBytes } = this.editor.facts.limits;
    if (uploadBytes && file.size > uploadBytes) throw new RangeError(`this file has ${Math.ceil(file.size / 1e6)} MB, and ${Math.floor(uploadBytes / 1e6)} MB is the limit.`);
    if (!file.size) throw new RangeError("this file is empty.");
    let kind = wanted;
    if (!kind) {
      $("file-name").textContent = file.name;
      kind = await ask($("file-dialog"));
    }
    if (kind === "photo") {
      const photo = await this.photos.add(file, file.name);
      openPanel("photos");
      say(`${photo.name} is among the photos.`);
    }
    if (kind === "map") await this.openMap(file);
  }

  /** A map, with what the zoo says about it, to be taken or left. @param {File} file */
  async openMap(file) {
    let map = await this.judged(file, "");
    const other = async () => {
      try {
        map = await this.judged(file, $("reading").value);
      } catch (error) {
        $("notes-list").replaceChildren(h("li", {}, error instanceof Error ? error.message : String(error)));
        $("notes-ok").disabled = true;
      }
    };
    $("reading").addEventListener("change", other);
    const answer = await ask($("notes-dialog"));
    $("reading").removeEventListener("change", other);
    if (answer !== "ok") return;
    this.editor.setMap(map, `Map ${file.name}`, { kind: "import", name: file.name });
    this.changed(`map ${file.name}`);
  }

  /** The map with its judgement shown. @param {File} file @param {string} read the label space of its numbers; "": as it seems */
  async judged(file, read) {
    const { map, notes, readings } = await this.editor.engine.addMap(file, file.name, read);
    if (!this.editor.facts.spaces[map.space]) throw new RangeError(`its label space ${map.space} is not among those of this page.`);
    const shown = [`${map.width} × ${map.height} pixels of the label space ${map.space}.`, ...notes];
    $("notes-list").replaceChildren(...shown.map((note) => h("li", {}, note)));
    $("reading-field").hidden = (readings?.length ?? 0) < 2;
    if (!read) fillSelect($("reading"), [{ value: "", text: "as it seems" }, ...(readings ?? []).map((value) => ({ value, text: value }))], "");
    $("notes-ok").disabled = false;
    return map;
  }
}
