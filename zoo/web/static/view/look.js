/** The panel of looks: whole, mixed, by class and layer, and pixels of a photo. */

import { firstLack, freshSeed, lacking, sourceOf } from "../core/looks.js";
import { namesIn } from "../core/maps.js";
import { $, fillSelect, h, icon, numberOf, whenReleased } from "./dom.js";
import { checks } from "./drawing.js";
import { showOptions } from "./options.js";

/** @typedef {import("../core/types.js").Source} Source @typedef {import("../core/types.js").Look} Look @typedef {import("../core/types.js").Part} Part */
/** @typedef {import("../editor.js").Editor} Editor */

/** A photo with its frame, and its map where it was read. @param {import("../core/types.js").Photo} photo */
export const placed = (photo) => ({ photo: photo.id, ...(photo.frame ? { frame: photo.frame } : {}), ...(photo.map ? { map: photo.map } : {}) });

/** @param {import("../core/types.js").Photo} photo @returns {Source} */
export const photoSource = (photo) => ({ kind: "photo", ...placed(photo) });

/**
 * Controls of one source. @param {Editor} editor @param {string} name for labels @param {Source} source @param {(source: Source) => void} take
 * @returns {HTMLElement}
 */
function sourceControl(editor, name, source, take) {
  const model = editor.synthesizer;
  const photos = Object.values(editor.state.photos);
  const select = h("select", { "aria-label": `Style of ${name}` });
  const photoLack = model && lacking("photo", model);
  const options = [
    ...["seed", "mean"].map((kind) => {
      const lack = model && lacking(/** @type {any} */ (kind), model);
      return { value: kind, text: `${kind === "seed" ? "random" : "mean"}${lack ? `: ${lack}` : ""}`, disabled: !!lack };
    }),
    ...photos.map((photo) => ({ value: photo.id, text: photoLack ? `${photo.name}: ${photoLack}` : `photo ${photo.name}`, disabled: !!photoLack })),
  ];
  if (!photos.length) options.push({ value: "none", text: photoLack ? `photo: ${photoLack}` : "photo: drop one in first", disabled: true });
  fillSelect(select, options, source.kind === "photo" ? source.photo : source.kind);
  select.addEventListener("change", () => {
    const photo = editor.state.photos[select.value];
    take(photo ? photoSource(photo) : select.value === "mean" ? { kind: "mean" } : { kind: "seed", seed: freshSeed() });
  });
  const line = h("div", { className: "row source" }, select);
  if (source.kind === "seed") {
    const seed = h("input", { type: "number", min: "0", max: "9007199254740991", value: String(source.seed), "aria-label": `Seed of ${name}` });
    seed.addEventListener("change", () => take({ kind: "seed", seed: numberOf(seed) }));
    line.append(seed, h("button", { type: "button", className: "icon", title: "Another seed", "aria-label": `Another seed of ${name}`, onclick: () => take({ kind: "seed", seed: freshSeed() }) }, icon("dice")));
  }
  return line;
}

/** Replaces what a container holds, and gives the focus back to the control of the same name. @param {HTMLElement} container @param {Node[]} children */
function renew(container, children) {
  whenReleased(container, () => {
    const name = container.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-label") : null;
    container.replaceChildren(...children);
    if (name) /** @type {any} */ (container.querySelector(`[aria-label="${CSS.escape(name)}"]`))?.focus();
  });
}

/** @param {Editor} editor @param {(text: string) => void} changed */
export function showLook(editor, changed) {
  const put = (/** @type {Partial<Look>} */ part, /** @type {string} */ text, merge = false) => {
    editor.setLook({ ...editor.state.look, ...part }, text, merge);
    changed(text);
  };
  const can = (/** @type {string} */ what) => editor.synthesizer?.can.includes(what) ?? false;

  editor.on(["look", "photos", "synthesizer"], () => {
    const { look } = editor.state;
    renew($("base-source"), [sourceControl(editor, "the whole picture", look.base, (source) => put({ base: source }, "Look of the whole"))]);
    const lack = editor.synthesizer && firstLack(look, editor.synthesizer);
    $("look-hint").textContent = lack ? `${lack}: choose another source.` : look.parts.length && !can("style:partial") ? `${editor.state.synthesizer} has one style for the whole picture: single parts rest.` : "";
    $("mix-on").checked = !!look.mix;
    $("mix-fields").hidden = !look.mix;
    if (look.mix) {
      const { amount } = look.mix;
      renew($("mix-source"), [sourceControl(editor, "the mix", look.mix.source, (source) => put({ mix: { source, amount } }, "Style of the mix"))]);
      $("mix").value = amount;
      $("mix-out").textContent = amount;
    }
    if (document.activeElement !== $("noise")) $("noise").value = look.noise;
    $("parts-block").hidden = !can("style:partial");
    if (can("style:partial")) renew($("part-list"), look.parts.map((part, i) => partControl(editor, part, i, put)));
    $("part-all").hidden = !editor.synthesizer?.layers.length;
    const model = editor.synthesizer;
    showOptions("look-options", model, () => editor.state.look.options, (options, text) => put({ options }, text));
  });
  editor.on(["value", "map"], () => {
    const own = editor.synthesizer?.styleClasses;
    const { name } = editor.space.classes[editor.state.value];
    $("part-add").textContent = `Add for ${name}`;
    $("part-add").disabled = !!own?.length && !own.includes(name);
  });
  $("mix-on").addEventListener("change", () => put({ mix: $("mix-on").checked ? { source: { kind: can("style:prior") ? "seed" : "mean", seed: freshSeed() }, amount: 0.5 } : null }, "Mix"));
  $("mix").addEventListener("input", () => { if (editor.state.look.mix) put({ mix: { ...editor.state.look.mix, amount: Number($("mix").value) } }, "Amount of the mix", true); });
  $("noise").addEventListener("change", () => put({ noise: numberOf($("noise")) }, "Noise"));
  $("noise-dice").addEventListener("click", () => put({ noise: freshSeed() }, "Noise"));
  $("part-add").addEventListener("click", () => {
    const { name } = editor.space.classes[editor.state.value];
    const seed = can("style:prior") ? { kind: /** @type {const} */ ("seed"), seed: freshSeed() } : sourceOf(editor.state.look, name);
    put({ parts: [...editor.state.look.parts, { labels: [name], layers: null, source: seed }] }, `Look of ${name}`);
  });
  $("part-all").addEventListener("click", () => {
    const layers = editor.synthesizer?.layers ?? [];
    put({ parts: [...editor.state.look.parts, { labels: null, layers: [layers[layers.length >> 1]], source: { kind: "seed", seed: freshSeed() } }] }, "Look of a layer");
  });
  showKeep(editor, put);
}

/**
 * @param {Editor} editor @param {Part} part @param {number} i
 * @param {(part: Partial<Look>, text: string) => void} put
 */
function partControl(editor, part, i, put) {
  const parts = () => editor.state.look.parts;
  const own = editor.synthesizer?.styleClasses;
  const others = own?.length ? own : editor.space.classes.map((one) => one.name);
  const name = `part ${i + 1}, ${part.labels ? part.labels.join(" and ") : "all classes"}`;
  const change = (/** @type {Partial<Part>} */ changes) => put({ parts: parts().map((old, j) => (j === i ? { ...old, ...changes } : old)) }, `Look of ${part.labels?.join(", ") ?? "a layer"}`);
  const labels = h("select", { "aria-label": `Class of ${name}` });
  const several = part.labels && part.labels.length > 1 ? [{ value: "several", text: part.labels.join(", ") }] : [];
  fillSelect(labels, [{ value: "all", text: "all classes" }, ...several, ...others.map((value) => ({ value: `= ${value}`, text: value }))], several.length ? "several" : part.labels ? `= ${part.labels[0]}` : "all");
  labels.addEventListener("change", () => { if (labels.value !== "several") change({ labels: labels.value === "all" ? null : [labels.value.slice(2)] }); });
  const line = h("div", { className: "row" }, labels);
  const layers = editor.synthesizer?.layers ?? [];
  if (layers.length) {
    const which = h("select", { "aria-label": `Layers of ${name}` });
    const choices = layerChoices(layers);
    const wanted = part.layers?.join(" ") ?? "";
    if (!choices.some((one) => one.value === wanted)) choices.push({ value: wanted, text: wanted.replaceAll(" ", ", ") });
    fillSelect(which, choices, wanted);
    which.addEventListener("change", () => change({ layers: which.value ? which.value.split(" ") : null }));
    line.append(which);
  }
  line.append(
    h("button", { type: "button", className: "icon", "aria-pressed": String(!!part.locked), title: part.locked ? "Unlock" : "Lock", "aria-label": `${part.locked ? "Unlock" : "Lock"} ${name}`, disabled: !part.labels, onclick: () => change({ locked: !part.locked }) }, icon(part.locked ? "lock" : "unlock")),
    h("button", { type: "button", className: "icon", title: "Remove", "aria-label": `Remove ${name}`, onclick: () => put({ parts: parts().filter((_, j) => j !== i) }, "Part removed") }, icon("bin")),
  );
  return h("div", { className: "part" }, line, sourceControl(editor, name, part.source, (source) => change({ source })));
}

/** All, depths as on the command line, single layers. @param {string[]} layers */
function layerChoices(layers) {
  const edge = Math.max(1, Math.round((layers.length * 2) / 5));
  const depths = /** @type {[string, string[]][]} */ ([["shallow", layers.slice(0, edge)], ["middle", layers.slice(edge, layers.length - edge)], ["deep", layers.slice(layers.length - edge)]]);
  return [
    { value: "", text: "all layers" },
    ...depths.filter(([, some]) => some.length > 1).map(([name, some]) => ({ value: some.join(" "), text: `${name} layers` })),
    ...layers.map((layer, i) => ({ value: layer, text: `layer ${i + 1}` })),
  ];
}

/** @param {Editor} editor @param {(part: Partial<Look>, text: string) => void} put */
function showKeep(editor, put) {
  /** @type {Set<string>} */
  let ticked = new Set();
  const keep = () => {
    const photo = editor.state.photos[$("keep-photo").value];
    put({ keep: photo && ticked.size ? { ...placed(photo), classes: [...ticked] } : null }, "Pixels of the photo");
  };
  $("keep-photo").addEventListener("change", keep);
  editor.on(["photos", "look", "map"], () => {
    const { photos, look, map } = editor.state;
    const all = Object.values(photos);
    $("keep-block").hidden = !all.length;
    fillSelect($("keep-photo"), all.map((photo) => ({ value: photo.id, text: photo.name })), look.keep?.photo);
    ticked = new Set(look.keep?.classes ?? []);
    const names = new Set([...namesIn(map, editor.space), ...ticked]);
    const active = /** @type {HTMLInputElement | null} */ (document.activeElement);
    const focused = $("keep-list").contains(active) ? active?.value : null;
    checks($("keep-list"), [...names], ticked, keep);
    if (focused) $("keep-list").querySelector(`[value="${CSS.escape(focused)}"]`)?.focus();
  });
}
