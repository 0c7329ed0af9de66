/** The panel of projects, exports, the command line and earlier work. */

import { layoutCommand, pictureCommand } from "../core/commands.js";
import { specOf } from "../core/looks.js";
import { fromProject, toProject } from "../core/projects.js";
import { gridPng, mapPng, namedFiles, pairPng } from "../exports.js";
import { $, download, fillSelect, say } from "./dom.js";

/** @typedef {import("../editor.js").Editor} Editor */

/**
 * @param {Editor} editor @param {import("../saving.js").Saving} saving @param {import("../jobs.js").Jobs} jobs
 * @param {{open: () => void, openWork: (session: string) => Promise<void>, openSessions: () => string[]}} actions
 */
export function showKeepPanel(editor, saving, jobs, actions) {
  const save = () => saveProject(editor, jobs);
  $("project-save").addEventListener("click", save);
  $("save").addEventListener("click", save);
  $("project-open").addEventListener("click", actions.open);
  exportButtons(editor);
  commandBox(editor);

  const list = async () => {
    const works = (await saving.storage?.works()) ?? [];
    const open = actions.openSessions();
    const others = works.filter((work) => work.session !== editor.session && !open.includes(work.session));
    fillSelect($("works"), others.length ? others.map((work) => ({ value: work.session, text: `${new Date(work.saved).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}, ${work.map.space}` })) : [{ value: "", text: "none but this one", disabled: true }]);
    for (const id of ["work-open", "work-delete"]) $(id).disabled = !others.length;
  };
  $("tab-keep").addEventListener("click", list);
  $("tab-keep").addEventListener("focus", list);
  void list();
  $("work-open").addEventListener("click", async () => { await actions.openWork($("works").value); await list(); });
  $("work-delete").addEventListener("click", async () => { await saving.storage?.remove($("works").value); await list(); say("Deleted."); });
  return save;
}

/** Without an engine the project goes without its picture. @param {Editor} editor @param {import("../jobs.js").Jobs} jobs */
async function saveProject(editor, jobs) {
  const { state, facts } = editor;
  const model = editor.synthesizer;
  const styled = model ? specOf(state.look, model) : { base: state.look.base, parts: [], mix: null };
  const project = await toProject({ ...state, picture: await jobs.forProject(), styled }, facts);
  download(new Blob([JSON.stringify(project)], { type: "application/json" }), `layout-${stamp()}.zoo.json`);
  say("The project is saved as a file.");
}

/** @param {Editor} editor @param {string} text @param {(blob: Blob, name: string) => Promise<{id: string}>} addPhoto */
export async function openProject(editor, text, addPhoto) {
  const project = await fromProject(text, editor.facts);
  const notes = [...project.notes];
  const named = /** @type {Record<string, string>} */ ({});
  for (const { id, bytes, name, frame, map } of project.photos) {
    const answer = await editor.engine.addPhoto(new Blob([bytes]));
    if (answer.photo !== id) notes.push(`${name} is not the photo that the project names.`);
    named[id] = answer.photo;
    const photo = { id: answer.photo, blob: new Blob([bytes]), name, width: answer.width, height: answer.height, frame, map };
    editor.set({ photos: { ...editor.state.photos, [photo.id]: photo } });
  }
  editor.setMap(project.map, "Project opened", { kind: "project" });
  editor.setLook(project.look, "Look of the project");
  const usable = (/** @type {"generators" | "synthesizers" | "parsers"} */ kind, /** @type {string} */ id) => {
    const model = editor.model(kind, id);
    return model?.available ? id : undefined;
  };
  editor.set({
    steps: project.steps,
    synthesizer: usable("synthesizers", project.synthesizer) ?? editor.state.synthesizer,
    generator: usable("generators", project.generator) ?? editor.state.generator,
    parser: usable("parsers", project.parser) ?? editor.state.parser,
  });
  editor.tell(notes);
}

const stamp = () => new Date().toISOString().slice(0, 16).replace(/[T:]/g, "-");

/** @param {Editor} editor */
function exportButtons(editor) {
  const give = (/** @type {string} */ id, /** @type {() => Promise<Blob | null>} */ make, /** @type {() => string} */ name) =>
    $(id).addEventListener("click", async () => {
      const blob = await make();
      if (!blob) return editor.set({ problem: "There is no picture yet." });
      download(blob, name());
      say(`${name()} is saved.`);
    });
  const { state } = editor;
  give("export-palette", () => mapPng(state.map, editor.space), () => "map.png");
  give("export-grey", () => mapPng(state.map), () => "map-grey.png");
  give("export-picture", async () => state.picture?.blob ?? null, () => "picture.png");
  give("export-pair", async () => state.picture && pairPng(state.map, editor.space, state.picture.blob), () => "pair.png");
  give("export-grid", async () => {
    const pairs = state.strip.flatMap((one) => (one.picture ? [{ map: one.map, picture: one.picture.blob }] : []));
    return pairs.length ? gridPng(pairs, editor.facts.spaces) : null;
  }, () => "grid.png");
  editor.on(["picture", "strip", "stale"], () => {
    for (const id of ["export-picture", "export-pair"]) $(id).disabled = !state.picture || state.stale;
    $("export-grid").disabled = !state.strip.some((one) => one.picture);
  });
}

/** @param {Editor} editor */
function commandBox(editor) {
  /** @type {import("../core/commands.js").NamedFile[]} */
  let files = [];
  editor.on(["map", "look", "synthesizer", "generator", "photos", "steps"], () => {
    const model = editor.synthesizer;
    if (!model) { $("command").value = ""; return; }
    const { look, map, generator, photos, steps } = editor.state;
    const command = pictureCommand({ look, model, mapSpace: map.space, generator, photos, space: editor.space });
    files = command.files;
    const last = [...steps].reverse().find((step) => step.kind === "generate" || step.kind === "edit" || (step.chosen !== undefined && step.generator));
    const made = last ? [`# the layout began with number ${last.chosen} of`, `# ${layoutCommand(last, map.space)}`] : [];
    $("command").value = [...made, ...command.lines].join("\n");
    $("command-hint").textContent = ["The same picture without this page.", ...command.notes].join(" ");
  });
  $("command-copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($("command").value);
    } catch {
      $("command").select(); // no clipboard on plain networks
      document.execCommand("copy");
    }
    say("The command line is copied.");
  });
  $("command-files").addEventListener("click", async () => {
    for (const { name, blob } of await namedFiles(editor, files)) download(blob, name);
  });
}
