/** Pickers of models: those that cannot be used are greyed, with the reason. */

import { fillSelect } from "./dom.js";

/** @typedef {import("../core/types.js").Model} Model */

/** Why a model cannot be used for a space; null: it can. @param {Model} model @param {string} [space] */
export function whyNot(model, space) {
  if (!model.available) return model.reason ?? "not available";
  return space === undefined ? null : model.joins[space] === undefined ? `does not join ${space}` : model.joins[space];
}

/** @param {HTMLSelectElement} select @param {Model[]} models @param {string} chosen @param {string} [space] */
export function fillModels(select, models, chosen, space) {
  const options = models.map((model) => {
    const reason = whyNot(model, space);
    const slow = model.slow && !reason ? " (slow)" : "";
    return { value: model.id, text: reason ? `${model.id}: ${reason}` : `${model.id}${slow}`, disabled: reason !== null };
  });
  if (!options.length) options.push({ value: "", text: "none is here", disabled: true });
  else if (!options.some((one) => !one.disabled)) options.unshift({ value: "", text: "none fits this layout", disabled: true });
  fillSelect(select, options, chosen);
  select.title = models.find((model) => model.id === select.value)?.title ?? "";
}
