/** The classes with their colours, shares, eyes, dice and locks. */

import { freshSeed, isLocked, locked, unlocked, withClass } from "../core/looks.js";
import { countClasses, shareText } from "../core/maps.js";
import { $, h, icon, say } from "./dom.js";

/** From this number of classes on, one can search them. */
const FIND_FROM = 24;

/** @param {import("../editor.js").Editor} editor @param {(text: string) => void} changed */
export function showPalette(editor, changed) {
  const list = $("classes");
  /** @type {{row: any, input: any, share: any, eye: any, lock: any, dice: any}[]} */
  let rows = [];
  let shown = "";

  const build = () => {
    const { classes } = editor.space;
    rows = classes.map(({ name, color }, value) => {
      const input = h("input", { type: "radio", name: "class", value: String(value), id: `class-${value}`, onchange: () => editor.choose(value) });
      const swatch = h("span", { className: "swatch" });
      swatch.style.backgroundColor = color;
      const share = h("span", { className: "share" });
      const eye = h("button", { type: "button", className: "icon", onclick: () => toggle(value) }, icon("eye"));
      const dice = h("button", { type: "button", className: "icon look", title: `Another look for ${name}`, "aria-label": `Another look for ${name}`, onclick: () => roll(name) }, icon("dice"));
      const lock = h("button", { type: "button", className: "icon look", onclick: () => turnLock(name) }, icon("unlock"));
      const row = h("div", { className: "class" }, h("label", { title: name }, input, swatch, h("span", { className: "name" }, name), share), dice, lock, eye);
      return { row, input, share, eye, lock, dice };
    });
    list.replaceChildren(...rows.map((one) => one.row));
    $("find-row").hidden = classes.length < FIND_FROM;
  };
  const toggle = (/** @type {number} */ value) => {
    const hidden = new Set(editor.state.hidden);
    if (!hidden.delete(value)) hidden.add(value);
    editor.set({ hidden });
  };
  const roll = (/** @type {string} */ name) => {
    const seed = freshSeed();
    editor.setLook(withClass(editor.state.look, name, { kind: "seed", seed }), `Look of ${name}`);
    changed(`look of ${name}`);
  };
  const turnLock = (/** @type {string} */ name) => {
    const { look } = editor.state;
    const held = isLocked(look, name);
    editor.setLook(held ? unlocked(look, name) : locked(look, name), `${held ? "Unlock" : "Lock"} ${name}`);
    say(`${name} is ${held ? "free" : "locked"}.`);
    changed(`${held ? "unlock" : "lock"} ${name}`);
  };

  editor.on(["map", "value", "hidden", "look", "synthesizer"], () => {
    const { map, value, hidden, look } = editor.state;
    if (shown !== map.space) { shown = map.space; build(); }
    const counts = countClasses(map.labels, 256);
    const partial = editor.synthesizer?.can.includes("style:partial") ?? false;
    const random = partial && editor.synthesizer?.can.includes("style:prior");
    const styled = editor.synthesizer?.styleClasses ?? [];
    editor.space.classes.forEach(({ name }, i) => {
      const { row, input, share, eye, lock, dice } = rows[i];
      input.checked = i === value;
      share.textContent = shareText(counts[i], map.labels.length);
      row.classList.toggle("absent", !counts[i]);
      const off = hidden.has(i);
      eye.replaceChildren(icon(off ? "closed" : "eye"));
      label(eye, off ? `Show ${name}` : `Hide ${name}`);
      const held = isLocked(look, name);
      lock.replaceChildren(icon(held ? "lock" : "unlock"));
      label(lock, held ? `Unlock the look of ${name}` : `Lock the look of ${name}`);
      lock.setAttribute("aria-pressed", String(held));
      const own = !styled.length || styled.includes(name);
      lock.hidden = !partial || !own;
      dice.hidden = !random || !own;
    });
  });
  $("show-all").addEventListener("click", () => editor.set({ hidden: new Set() }));
  $("hide-others").addEventListener("click", () => editor.set({ hidden: new Set([...editor.space.classes.keys()].filter((i) => i !== editor.state.value)) }));
  $("find").addEventListener("input", () => {
    const wanted = $("find").value.trim().toLowerCase();
    editor.space.classes.forEach(({ name }, i) => (rows[i].row.hidden = !name.toLowerCase().includes(wanted)));
  });
}

/** @param {HTMLElement} button @param {string} text */
function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}
