/** The picture, its progress, and the divider between before and after. */

import { middle } from "../core/frames.js";
import { $, addressOf, fillSelect, say } from "./dom.js";
import { fillModels } from "./models.js";
import { framedCanvas } from "./frame.js";

/** @param {import("../editor.js").Editor} editor @param {import("../jobs.js").Jobs} jobs */
export function showPicture(editor, jobs) {
  let waiting = 0;
  let asked = 0;
  $("synthesizer").addEventListener("change", () => {
    editor.set({ synthesizer: $("synthesizer").value, stale: true, live: editor.state.live && !editor.model("synthesizers", $("synthesizer").value)?.slow });
    jobs.refresh(`by ${editor.state.synthesizer}`);
  });
  $("live").addEventListener("change", () => {
    editor.set({ live: $("live").checked });
    if (editor.state.live && editor.state.stale) jobs.refresh("painted");
  });
  $("paint").addEventListener("click", () => jobs.render());
  $("cancel").addEventListener("click", () => { editor.state.busy?.stop(); say("Cancelled."); });
  $("pin").addEventListener("click", () => { editor.set({ pinned: editor.state.picture }); $("compare-with").value = "pinned"; compare(); });

  editor.on(["synthesizer", "map"], () => fillModels($("synthesizer"), editor.facts.synthesizers, editor.state.synthesizer, editor.state.map.space));
  editor.on(["live"], () => ($("live").checked = editor.state.live));
  editor.on(["picture"], () => {
    const { picture } = editor.state;
    $("picture").hidden = !picture;
    if (picture) Object.assign($("picture"), { src: addressOf(picture.blob), alt: `Picture by ${picture.synthesizer} of the layout` });
  });
  editor.on(["picture", "stale", "busy", "synthesizer", "live", "seconds"], () => {
    const { picture, stale, busy, seconds } = editor.state;
    $("stale").hidden = !picture || !stale || busy?.picture === true;
    $("paint").disabled = !editor.synthesizer;
    $("pin").disabled = !picture;
    $("seconds").textContent = picture && seconds !== null ? `${seconds.toFixed(2)} s` : "";
    $("picture-empty").hidden = !!picture;
    $("picture-starts").hidden = !editor.synthesizer;
    $("picture-why").textContent = editor.synthesizer ? "Paint a layout, generate one, or drop a photo: the picture appears here." : "No synthesizer here takes this layout.";
  });
  editor.on(["busy"], () => {
    const { busy } = editor.state;
    // what is done at once shows no bar: it would only flicker
    clearTimeout(waiting);
    if (!busy) { $("progress").hidden = true; return; }
    waiting = setTimeout(() => ($("progress").hidden = !editor.state.busy), 250);
    $("progress-text").textContent = busy.total ? `${busy.text} ${busy.done} of ${busy.total}` : `${busy.text} …`;
    if (busy.total) $("progress-bar").value = busy.done / busy.total;
    else $("progress-bar").removeAttribute("value");
  });
  const compare = async () => {
    const own = ++asked;
    const on = $("compare").checked;
    const other = on ? await otherPicture(editor, $("compare-with").value) : null;
    if (own !== asked) return;
    for (const id of ["before", "divider", "divider-line"]) $(id).hidden = !other;
    if (other) Object.assign($("before"), { src: addressOf(other), alt: "The picture before" });
    else if (on) say("There is nothing to compare with yet.");
    divide();
  };
  const divide = () => {
    const part = $("divider").value / 10;
    $("before").style.clipPath = `inset(0 ${100 - part}% 0 0)`;
    $("divider-line").style.left = `${part}%`;
    $("divider").setAttribute("aria-valuetext", `${Math.round(part)} % before`);
  };
  $("divider").addEventListener("input", divide);
  $("compare").addEventListener("change", compare);
  $("compare-with").addEventListener("change", compare);
  editor.on(["photos"], () => {
    const photos = Object.values(editor.state.photos).map((photo) => ({ value: photo.id, text: photo.name }));
    fillSelect($("compare-with"), [{ value: "last", text: "the last" }, { value: "pinned", text: "the pinned" }, ...photos]);
  });
  editor.on(["picture", "before", "pinned", "photos"], compare);
}

/** @param {import("../editor.js").Editor} editor @param {string} which @returns {Promise<Blob | null>} */
async function otherPicture(editor, which) {
  const { state } = editor;
  if (which === "last") return state.before?.blob ?? null;
  if (which === "pinned") return state.pinned?.blob ?? null;
  const photo = state.photos[which];
  if (!photo) return null;
  const canvas = await framedCanvas(photo, photo.frame ?? middle(photo.width, photo.height), state.picture?.width ?? 256);
  return new Promise((done) => canvas.toBlob(done));
}
