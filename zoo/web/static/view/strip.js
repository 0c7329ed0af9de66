/** The history strip: pictures and their layouts, each a click away. */

import { photosOf } from "../core/looks.js";
import { $, addressOf, h } from "./dom.js";
import { mapCanvas } from "./surface.js";

/** @param {import("../editor.js").Editor} editor @param {() => void} restored */
export function showStrip(editor, restored) {
  /** @type {Map<number, any>} */
  const made = new Map();
  editor.on(["strip"], () => {
    const { strip } = editor.state;
    $("strip-facts").textContent = strip.length ? `${strip.length} of the latest; a click goes back, undo forth.` : "Pictures appear here as you work.";
    const shown = strip.map((one) => {
      let button = made.get(one.id);
      if (button && button.snapshot === one) return button;
      const canvas = mapCanvas(one.map, editor.facts.spaces[one.map.space]);
      canvas.setAttribute("aria-hidden", "true");
      button = h("button", { type: "button", className: "thumb pair", title: `${one.id}: ${one.text}`, "aria-label": `Back to ${one.id}: ${one.text}`, onclick: () => restore(one) },
        canvas, one.picture && h("img", { src: addressOf(one.picture.blob), alt: "" }), h("span", {}, String(one.id)));
      button.snapshot = one;
      made.set(one.id, button);
      return button;
    });
    const list = $("strip-list");
    const atEnd = list.scrollLeft + list.clientWidth > list.scrollWidth - 40;
    list.replaceChildren(...shown);
    if (atEnd) list.scrollLeft = list.scrollWidth;
  });

  const restore = (/** @type {import("../core/types.js").Snapshot} */ one) => {
    editor.recall(photosOf(one.look));
    editor.setMap(one.map, `Back to ${one.id}`, { kind: "back", to: one.id });
    editor.setLook(one.look, `Look of ${one.id}`);
    const { picture } = editor.state;
    editor.set({ synthesizer: one.synthesizer, picture: one.picture, before: picture ?? editor.state.before, stale: !one.picture });
    restored();
  };
}
