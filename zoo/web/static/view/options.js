/** Fields of a model's sampling options. */

import { optionsOf, withOption } from "../core/options.js";
import { $, fillSelect, h } from "./dom.js";

/** @typedef {import("../core/types.js").Model} Model @typedef {import("../core/types.js").Options} Options */

/**
 * The fields of one model in the block `id`, which is hidden for a model without options.
 * @param {string} id @param {Model | undefined} model @param {Options | undefined} values @param {(values: Options, text: string) => void} change
 */
export function showOptions(id, model, values, change) {
  const block = $(id);
  const options = model?.options ?? [];
  block.hidden = !options.length;
  if (!model || !options.length) return;
  const set = optionsOf(values, model);
  const count = Object.keys(set).length;
  block.querySelector("summary").textContent = `Options of ${model.id}${count ? `, ${count} set` : ""}`;
  const list = block.querySelector("div");
  const focused = list.contains(document.activeElement) ? (document.activeElement?.id ?? "") : "";
  list.replaceChildren(...options.map(({ name, default: usual, choices }) => {
    const own = `${id}-${name}`;
    const take = () => change(withOption(values, model, name, field.value), `${name}=${field.value.trim() || usual}`);
    const field = choices.length ? h("select", { id: own, onchange: take }) : h("input", { id: own, type: "text", maxLength: 256, placeholder: usual, value: set[name] ?? "", onchange: take });
    if (choices.length) fillSelect(field, choices.map((value) => ({ value, text: value === usual ? `${value} (usual)` : value })), set[name] ?? usual);
    return h("div", { className: "field" }, h("label", { for: own }, name), field);
  }));
  if (focused) document.getElementById(focused)?.focus();
}
