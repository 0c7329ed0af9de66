/** The page: engine, state, views and storage put together. */

import { createMap } from "./core/maps.js";
import { Editor } from "./editor.js";
import { EngineError } from "./engine/errors.js";
import { ServerEngine, takeToken } from "./engine/server.js";
import { Files } from "./files.js";
import { Jobs } from "./jobs.js";
import { Saving } from "./saving.js";
import { Storage } from "./storage.js";
import { Tabs } from "./tabs.js";
import { LayoutCanvas } from "./view/canvas.js";
import { $, ask, fillSelect, numberOf } from "./view/dom.js";
import { showDrawing } from "./view/drawing.js";
import { showKeepPanel } from "./view/keep.js";
import { showLook } from "./view/look.js";
import { showPalette } from "./view/palette.js";
import { openPanel, showPanels } from "./view/panels.js";
import { Photos } from "./view/photos.js";
import { showPicture } from "./view/picture.js";
import { showStrip } from "./view/strip.js";
import { listenToKeys, showTools } from "./view/tools.js";

const ANOTHER = "Another tab has this editor open, too. Each tab has its own work.";

/** @param {string} session @returns {Promise<import("./core/types.js").Engine>} */
async function engineOf(session) {
  const kind = /** @type {HTMLMetaElement | null} */ (document.querySelector("meta[name=zoo-engine]"))?.content;
  if (kind !== "static") return new ServerEngine(session, takeToken());
  const path = "./engine/static/index.js"; // comes with the exported page
  return (await import(path)).openEngine();
}

/** The facts, as often as it takes. @param {import("./core/types.js").Engine} engine @param {(text: string) => void} tell */
async function factsOf(engine, tell) {
  for (let wait = 1; ; wait = Math.min(wait * 1.5, 10)) {
    try {
      return await engine.open();
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      tell(error.lost ? "There is no connection to the server. The page tries again by itself." : error.message);
      if (!error.lost) throw error;
      await new Promise((done) => setTimeout(done, wait * 1000));
    }
  }
}

async function start() {
  const early = (/** @type {string} */ text) => { $("banner").hidden = !text; $("banner-text").textContent = text; };
  /** @type {Editor | undefined} */
  let editor;
  const tabs = new Tabs(() => editor?.set({ notice: ANOTHER, fresh: false }));
  await tabs.meet();
  const storage = await Storage.open();
  const others = tabs.open;
  const mine = tabs.session && !others.includes(tabs.session) ? tabs.session : "";
  const copied = tabs.session && !mine ? tabs.session : ""; // a duplicated tab goes on with a copy
  const latest = !mine && !copied && !others.length ? (await storage?.works())?.[0]?.session ?? "" : "";
  tabs.take(mine || latest || undefined);

  const engine = await engineOf(tabs.session);
  const facts = await factsOf(engine, early);
  early("");
  editor = new Editor(facts, engine, tabs.session);
  document.body.dataset.engine = facts.engine;
  const saving = new Saving(editor, storage);
  const back = await saving.restore(mine || latest || copied);
  const jobs = new Jobs(editor);
  build(editor, jobs, saving, tabs);
  await remind(editor);
  if (others.length) editor.set({ notice: ANOTHER, fresh: false });
  else if (back && !mine) editor.set({ notice: "Your work is back, as this browser kept it.", fresh: true });
  if (editor.state.stale && back) jobs.refresh("painted");
  document.body.dataset.ready = "true";
  void storage?.tidy([tabs.session, ...tabs.open]);
}

/** @param {Editor} editor @param {Jobs} jobs @param {Saving} saving @param {Tabs} tabs */
function build(editor, jobs, saving, tabs) {
  const changed = (/** @type {string} */ text) => jobs.refresh(text);
  const anew = async () => {
    await saving.now();
    saving.begin(tabs.take());
  };
  showTools(editor);
  showPalette(editor, changed);
  showPicture(editor, jobs);
  showStrip(editor, () => { if (editor.state.stale) jobs.refresh("painted"); });
  const photos = new Photos(editor, jobs, changed);
  const files = new Files(editor, photos, jobs, changed);
  const generate = showDrawing(editor, jobs, changed, () => files.mapFromFile());
  showLook(editor, changed);
  const openWork = async (/** @type {string} */ session) => {
    await saving.now();
    editor.session = tabs.take(session);
    await saving.restore(session);
    await remind(editor);
    if (editor.state.stale) changed("painted");
  };
  const save = showKeepPanel(editor, saving, jobs, { open: () => files.choose(), openWork, openSessions: () => tabs.open });
  showPanels(editor, anew);
  const canvas = new LayoutCanvas(editor, changed);
  listenToKeys(editor, canvas, {
    changed, save, open: () => files.choose(), render: () => jobs.render(),
    generate: () => { openPanel("draw"); generate(); },
  });
  $("open").addEventListener("click", () => files.choose());
  $("photo-add").addEventListener("click", () => files.choose("photo"));
  $("start-photo").addEventListener("click", () => files.choose("photo"));
  $("start-generate").addEventListener("click", generate);
  $("start-generate").hidden = !editor.facts.generators.length;
  newLayout(editor, changed);
}

/** The engine gets the photos of a restored work again. @param {Editor} editor */
async function remind(editor) {
  for (const photo of [...Object.values(editor.state.photos), ...Object.values(editor.state.attic)]) {
    try {
      await editor.engine.addPhoto(photo.blob);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      editor.set({ problem: `${photo.name}: ${error.message}` });
    }
  }
}

/** @param {Editor} editor @param {(text: string) => void} changed */
function newLayout(editor, changed) {
  const sizes = () => {
    const model = editor.facts.synthesizers.find((one) => one.available && one.joins[$("new-space").value] === null);
    if (model) [$("new-height").value, $("new-width").value] = model.resolution;
  };
  $("new-space").addEventListener("change", sizes);
  $("new").addEventListener("click", async () => {
    const { spaces } = editor.facts;
    fillSelect($("new-space"), Object.entries(spaces).map(([value, space]) => ({ value, text: space.title ? `${value}: ${space.title}` : value })), editor.state.map.space);
    sizes();
    if ((await ask($("new-dialog"))) !== "ok") return;
    const name = $("new-space").value;
    editor.setMap(createMap(numberOf($("new-width")), numberOf($("new-height")), name, spaces[name].background), "New layout", { kind: "new" });
    changed("new layout");
  });
}

start().catch((error) => {
  $("banner").hidden = false;
  $("banner-text").textContent = error instanceof EngineError ? error.message : `The page could not start: ${error}`;
});
