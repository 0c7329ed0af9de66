/** Fields of a model's sampling options. */

import { optionsOf, withOption } from "../core/options.js";
import { $, fillSelect, h } from "./dom.js";

/** @typedef {import("../core/types.js").Model} Model @typedef {import("../core/types.js").Options} Options */

/**
 * The fields of one model in the block `id`, which is hidden for a model without options. They stay while the model does.
 * @param {string} id @param {Model | undefined} model @param {() => Record<string, Options> | undefined} get options by model
 * @param {(options: Record<string, Options>, text: string) => void} change
 */
export function showOptions(id, model, get, change) {
  const block = $(id);
  const options = model?.options ?? [];
  block.hidden = !options.length;
  if (!model || !options.length) return;
  const field = (/** @type {string} */ name) => $(`${id}-${name}`);
  if (block.dataset.model !== model.id) {
    block.dataset.model = model.id;
    block.querySelector("div").replaceChildren(...options.map(({ name, default: usual, choices }) => {
      const own = `${id}-${name}`;
      const take = () => {
        const all = get();
        change({ ...all, [model.id]: withOption(all?.[model.id], model, name, field(name).value) }, `${name}=${field(name).value.trim() || usual}`);
      };
      const input = choices.length ? h("select", { id: own, onchange: take }) : h("input", { id: own, type: "text", maxLength: 256, placeholder: usual, onchange: take });
      if (choices.length) fillSelect(input, choices.map((value) => ({ value, text: value === usual ? `${value} (usual)` : value })));
      return h("div", { className: "field" }, h("label", { for: own }, name), input);
    }));
  }
  const set = optionsOf(get()?.[model.id], model);
  for (const { name, default: usual, choices } of options) field(name).value = set[name] ?? (choices.length ? usual : "");
  const count = Object.keys(set).length;
  block.querySelector("summary").textContent = `Options of ${model.id}${count ? `, ${count} set` : ""}`;
}
