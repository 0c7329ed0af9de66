/** The panel in which layouts are generated and edited by a model, and the proposals side by side. */

import { freshSeed } from "../core/looks.js";
import { namesIn } from "../core/maps.js";
import { jobOptions } from "../core/options.js";
import { $, fillSelect, h, numberOf } from "./dom.js";
import { fillModels } from "./models.js";
import { showOptions } from "./options.js";
import { mapCanvas } from "./surface.js";

/** @type {[import("../core/types.js").Edit["kind"], string, string][]} */
const KINDS = [
  ["redraw", "Redraw", "A new shape for these parts."],
  ["perturb", "Perturb", "Another shape near the old one."],
  ["add", "Add", "Parts that are not there."],
  ["remove", "Remove", "These parts away."],
  ["interpolate", "Interpolate", "On the way to the parts' shapes in another map."],
];

/**
 * @param {import("../editor.js").Editor} editor @param {import("../jobs.js").Jobs} jobs @param {(text: string) => void} changed
 * @param {() => Promise<{name: string, map: import("../core/types.js").LabelMap} | null>} mapFromFile
 */
export function showDrawing(editor, jobs, changed, mapFromFile) {
  /** @type {import("../core/types.js").Edit["kind"]} */
  let kind = "redraw";
  /** @type {Set<string>} */
  let wanted = new Set();
  /** @type {Set<string>} */
  const chosen = new Set();
  /** @type {{value: string, text: string, map: any}[]} maps of files, to interpolate towards */
  const opened = [];
  const towards = () => [...opened.filter((one) => one.map.space === editor.state.map.space), ...others(editor)];

  const count = () => Math.min(Math.max(numberOf($("count")), 1), editor.facts.limits.samples ?? 9);
  const generator = () => editor.model("generators", editor.state.generator);
  $("generator").addEventListener("change", () => editor.set({ generator: $("generator").value }));
  editor.on(["generator"], () => {
    const model = generator();
    fillModels($("generator"), editor.facts.generators, editor.state.generator);
    $("prior-field").hidden = (model?.priors.length ?? 0) < 2;
    fillSelect($("prior"), (model?.priors ?? []).map((value) => ({ value, text: value })));
    wanted = new Set((model?.labels ?? []).filter((name) => wanted.has(name)));
    checks($("set-list"), model?.labels ?? [], wanted, () => ($("set-own").checked = true));
    for (const id of ["generate", "set-own", "set-data"]) $(id).disabled = !model?.available;
  });
  editor.on(["generator", "options"], () => {
    showOptions("draw-options", generator(), () => editor.state.options, (options) => editor.set({ options }));
  });
  const choose = (/** @type {string[]} */ names) => {
    wanted = new Set(names);
    $("set-own").checked = true;
    checks($("set-list"), generator()?.labels ?? [], wanted, () => ($("set-own").checked = true));
  };
  $("set-all").addEventListener("click", () => choose(generator()?.labels ?? []));
  $("set-none").addEventListener("click", () => choose([]));
  $("set-present").addEventListener("click", () => choose(namesIn(editor.state.map, editor.space).filter((name) => generator()?.labels.includes(name))));
  $("layout-dice").addEventListener("click", () => ($("layout-seed").value = freshSeed()));

  const generate = () => {
    const model = generator();
    if (!model?.available) return;
    const labels = $("set-own").checked ? model.labels.filter((name) => wanted.has(name)) : null;
    if (labels && !labels.length) return editor.set({ problem: "No part is ticked: choose some, or parts as often as in the training data." });
    const seed = numberOf($("layout-seed"));
    void jobs.propose({ kind: "generate", generator: model.id, labels, seed, n: count(), ...jobOptions(editor.state.options[model.id], model), ...(model.priors.length > 1 ? { prior: $("prior").value } : {}), ...(model.joins[editor.state.map.space] === null ? { space: editor.state.map.space } : {}) }, `${model.id}, seed ${seed}, number`);
  };
  $("generate").addEventListener("click", generate);

  $("generate-block").hidden = !editor.facts.generators.length;
  $("no-generator").hidden = !!editor.facts.generators.length;
  // an engine without edits shows none
  $("edit-block").hidden = !editor.facts.generators.some((model) => model.can.some((what) => what.startsWith("edit:")));
  for (const [id, name, hint] of KINDS)
    $("edit-kinds").append(h("label", { className: "kind", title: hint }, h("input", { type: "radio", name: "kind", id: `kind-${id}`, value: id, onchange: () => { kind = id; chosen.clear(); showEdit(); } }), h("span", {}, name)));
  const showEdit = () => {
    const model = generator();
    for (const [id, , hint] of KINDS) {
      $(`kind-${id}`).disabled = !model?.can.includes(`edit:${id}`);
      if (id === kind) $("edit-hint").textContent = hint;
    }
    if ($(`kind-${kind}`).disabled) kind = KINDS.find(([id]) => model?.can.includes(`edit:${id}`))?.[0] ?? kind;
    $(`kind-${kind}`).checked = true;
    const able = model && KINDS.some(([id]) => model.can.includes(`edit:${id}`)) && model.joins[editor.state.map.space] === null;
    if (!able) $("edit-hint").textContent = model ? `${model.id} cannot edit this layout${model.joins[editor.state.map.space] ? `: ${model.joins[editor.state.map.space]}` : ""}. Choose another generator.` : "No generator is here.";
    const present = new Set(namesIn(editor.state.map, editor.space));
    const background = editor.space.classes[editor.space.background].name;
    const names = !able ? [] : kind === "add" ? model.labels.filter((name) => !present.has(name)) : [...present].filter((name) => name !== background && model.labels.includes(name));
    for (const name of chosen) if (!names.includes(name)) chosen.delete(name);
    checks($("edit-list"), names, chosen, () => ($("edit").disabled = !chosen.size));
    $("strength-field").hidden = kind !== "perturb";
    for (const id of ["other-field", "amount-field"]) $(id).hidden = kind !== "interpolate";
    if (kind === "interpolate") fillSelect($("other"), towards().map(({ value, text }) => ({ value, text })));
    $("edit").disabled = !able || !chosen.size;
  };
  editor.on(["map", "generator", "photos", "strip"], showEdit);
  for (const id of ["strength", "amount"]) $(id).addEventListener("input", () => ($(`${id}-out`).textContent = $(id).value));
  $("other-file").addEventListener("click", async () => {
    const found = await mapFromFile();
    if (!found || found.map.space !== editor.state.map.space) return found && editor.set({ problem: `${found.name} is a map of ${found.map.space}, and the layout one of ${editor.state.map.space}.` });
    opened.push({ value: `file ${opened.length}`, text: found.name, map: found.map });
    showEdit();
    $("other").value = opened[opened.length - 1].value;
  });
  $("edit").addEventListener("click", () => {
    const model = generator();
    if (!model || !chosen.size) return;
    const other = kind === "interpolate" ? towards().find((one) => one.value === $("other").value)?.map : undefined;
    if (kind === "interpolate" && !other) return editor.set({ problem: "There is no other map yet: open one, read a photo, or go on working until the history has one." });
    const seed = numberOf($("layout-seed"));
    const edit = { kind, labels: [...chosen], ...(kind === "perturb" ? { strength: Number($("strength").value) } : {}), ...(kind === "interpolate" ? { amount: Number($("amount").value) } : {}) };
    const n = kind === "remove" || kind === "interpolate" ? 1 : count();
    void jobs.propose({ kind: "edit", generator: model.id, map: editor.state.map, edits: [edit], ...(other ? { other } : {}), seed, n, keepRest: $("keep-rest").checked, ...jobOptions(editor.state.options[model.id], model) }, `${kind} ${[...chosen].join(", ")}, number`);
  });
  showProposals(editor, changed);
  return generate;
}

/** Maps that a part may be moved towards. @param {import("../editor.js").Editor} editor */
function others(editor) {
  const { strip, photos, map } = editor.state;
  const found = Object.values(photos).filter((photo) => photo.map?.space === map.space).map((photo) => ({ value: `photo ${photo.id}`, text: `map of ${photo.name}`, map: photo.map }));
  const seen = new Set([map]);
  for (const one of [...strip].reverse()) {
    if (seen.has(one.map) || one.map.space !== map.space) continue;
    seen.add(one.map);
    found.push({ value: `strip ${one.id}`, text: `history ${one.id}: ${one.text}`, map: one.map });
  }
  return found;
}

/** Boxes to tick. @param {HTMLElement} list @param {string[]} names @param {Set<string>} ticked @param {() => void} [changed] */
export function checks(list, names, ticked, changed) {
  list.replaceChildren(...names.map((name) => {
    const input = h("input", { type: "checkbox", value: name, checked: ticked.has(name) });
    input.addEventListener("change", () => { if (input.checked) ticked.add(name); else ticked.delete(name); changed?.(); });
    return h("label", { className: "tick" }, input, name);
  }));
}

/** @param {import("../editor.js").Editor} editor @param {(text: string) => void} changed */
function showProposals(editor, changed) {
  $("proposals-close").addEventListener("click", () => editor.set({ proposals: [] }));
  editor.on(["proposals"], () => {
    const { proposals } = editor.state;
    $("proposals").hidden = !proposals.length;
    $("proposal-list").replaceChildren(...proposals.map(({ map, text, step }, i) => {
      const canvas = mapCanvas(map, editor.facts.spaces[map.space]);
      canvas.setAttribute("aria-hidden", "true");
      const take = () => {
        for (const other of $("proposal-list").children) other.setAttribute("aria-pressed", String(other === button));
        if (editor.setMap(map, text, { ...step, text })) changed(text);
      };
      const button = h("button", { type: "button", className: "thumb", "aria-label": `Proposal ${i + 1}`, "aria-pressed": "false", title: text, onclick: take }, canvas, h("span", {}, String(i + 1)));
      return button;
    }));
    if (proposals.length) $("proposals").scrollIntoView?.({ block: "nearest" });
  });
}
