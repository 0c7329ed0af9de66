/** Tabs of the right side, banners, and what is said about the work's keeping. */

import { $ } from "./dom.js";

const PANELS = ["draw", "look", "photos", "keep"];

/** @param {string} name */
export function openPanel(name) {
  for (const other of PANELS) {
    const tab = $(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
    $(`panel-${other}`).hidden = other !== name;
  }
}

/** @param {import("../editor.js").Editor} editor @param {() => void} anew */
export function showPanels(editor, anew) {
  PANELS.forEach((name, i) => {
    const tab = $(`tab-${name}`);
    tab.addEventListener("click", () => openPanel(name));
    tab.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: PANELS.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = PANELS[(to + PANELS.length) % PANELS.length];
      openPanel(next);
      $(`tab-${next}`).focus();
    });
  });
  openPanel("draw");
  editor.on(["problem", "lost"], () => {
    $("banner").hidden = !editor.state.problem;
    $("banner-text").textContent = editor.state.problem;
    $("banner-close").hidden = editor.state.lost;
  });
  $("banner-close").addEventListener("click", () => editor.set({ problem: "" }));
  editor.on(["notice", "fresh"], () => {
    $("notice").hidden = !editor.state.notice;
    $("notice-text").textContent = editor.state.notice;
    $("notice-again").hidden = !editor.state.fresh || !editor.state.notice;
  });
  $("notice-close").addEventListener("click", () => editor.set({ notice: "" }));
  $("notice-again").addEventListener("click", () => { editor.set({ notice: "" }); anew(); });
  editor.on(["kept"], () => ($("kept").textContent = editor.state.kept));
  editor.on(["map"], () => {
    const { map } = editor.state;
    $("layout-facts").textContent = `${map.space}, ${map.width} × ${map.height}`;
  });
}
