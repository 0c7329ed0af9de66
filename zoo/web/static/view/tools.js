/** Tools, sizes, and the keyboard. */

import { freshSeed, rolled } from "../core/looks.js";
import { $, h, icon, numberOf, say } from "./dom.js";

/** @type {[string, string, string, string][]} tool, name, key, hint */
const TOOLS = [
  ["brush", "Brush", "B", "Paints while the pointer moves; a click is a dot."],
  ["line", "Line", "L", "From where you press to where you let go."],
  ["fill", "Fill", "F", "The connected region; with Shift the class everywhere."],
  ["rectangle", "Box", "R", "From corner to corner."],
  ["polygon", "Polygon", "P", "Click the corners; double-click, Enter or the first corner closes it."],
  ["lasso", "Lasso", "O", "Fills what you draw around."],
  ["eraser", "Eraser", "E", "Paints the background."],
  ["pick", "Pick", "I", "Takes the class under the pointer; the right button does so with any tool."],
  ["hand", "Move", "H", "Moves the layout; so do two fingers and the middle button."],
];

/** @param {import("../editor.js").Editor} editor */
export function showTools(editor) {
  for (const [tool, name, key, hint] of TOOLS) {
    const input = h("input", { type: "radio", name: "tool", value: tool, id: `tool-${tool}`, onchange: () => editor.set({ tool }) });
    $("tools").append(h("label", { className: "tool", title: `${name} (${key}). ${hint}` }, input, icon(tool), h("span", {}, name), h("kbd", { "aria-hidden": "true" }, key)));
  }
  editor.on(["tool"], () => {
    const { tool } = editor.state;
    $(`tool-${tool}`).checked = true;
    $("tool-hint").textContent = TOOLS.find(([id]) => id === tool)?.[3] ?? "";
    $("layout").dataset.tool = tool;
  });
  for (const id of ["size", "size-number"]) $(id).addEventListener("input", () => editor.set({ size: Math.max(1, numberOf($(id))) }));
  editor.on(["size"], () => {
    $("size").value = editor.state.size;
    if (document.activeElement !== $("size-number")) $("size-number").value = editor.state.size;
  });
  $("pressure").addEventListener("change", () => editor.set({ pressure: $("pressure").checked }));
}

/**
 * @typedef {{keys: string, text: string, does: (event: KeyboardEvent) => void, everywhere?: boolean}} Shortcut
 * @param {import("../editor.js").Editor} editor @param {import("./canvas.js").LayoutCanvas} canvas
 * @param {Record<"open" | "save" | "render" | "generate" | "changed", (text?: any) => void>} actions
 */
export function listenToKeys(editor, canvas, actions) {
  const walk = (/** @type {"undo" | "redo"} */ way) => {
    const text = editor.walk(way);
    say(text ? `${way === "undo" ? "Undone" : "Done again"}: ${text}.` : `Nothing to ${way}.`);
    if (text) actions.changed(way === "undo" ? `undone: ${text}` : text);
  };
  const next = (/** @type {number} */ step) => {
    const count = editor.space.classes.length;
    editor.choose((editor.state.value + step + count) % count);
    say(`Class ${editor.space.classes[editor.state.value].name}.`);
  };
  const resize = (/** @type {number} */ step) => {
    const { size } = editor.state;
    editor.set({ size: Math.min(Math.max(size + step * Math.max(1, Math.round(size / 8)), 1), 512) });
    say(`Size ${editor.state.size}.`);
  };
  const roll = () => {
    const seed = freshSeed();
    editor.setLook(rolled(editor.state.look, seed), `Style ${seed}`);
    actions.changed(`style ${seed}`);
  };
  const hide = () => {
    const hidden = new Set(editor.state.hidden);
    if (!hidden.delete(editor.state.value)) hidden.add(editor.state.value);
    editor.set({ hidden });
  };
  /** @type {Shortcut[]} */
  const shortcuts = [
    ...TOOLS.map(([tool, name, key]) => ({ keys: key.toLowerCase(), text: name, does: () => editor.set({ tool }) })),
    { keys: "[", text: "Smaller", does: () => resize(-1) }, { keys: "]", text: "Larger", does: () => resize(1) },
    { keys: ",", text: "Class before", does: () => next(-1) }, { keys: ".", text: "Next class", does: () => next(1) },
    { keys: "x", text: "Back to the last class", does: () => editor.choose(editor.state.lastValue) },
    { keys: "v", text: "Show or hide the class", does: hide },
    { keys: "+", text: "Zoom in", does: () => canvas.zoom(1.5) }, { keys: "-", text: "Zoom out", does: () => canvas.zoom(1 / 1.5) }, { keys: "0", text: "Fit", does: () => canvas.fitView() },
    { keys: "g", text: "Generate layouts", does: actions.generate }, { keys: "d", text: "Another random style", does: roll },
    { keys: "u", text: "Paint the picture now", does: actions.render },
    { keys: "?", text: "These shortcuts", does: () => $("keys-dialog").showModal() },
    { keys: "ctrl+z", text: "Undo", does: () => walk("undo"), everywhere: true },
    { keys: "ctrl+shift+z", text: "Redo", does: () => walk("redo"), everywhere: true }, { keys: "ctrl+y", text: "Redo", does: () => walk("redo"), everywhere: true },
    { keys: "ctrl+s", text: "Save the project", does: actions.save, everywhere: true }, { keys: "ctrl+o", text: "Open a file", does: actions.open, everywhere: true },
  ];
  $("undo").addEventListener("click", () => walk("undo"));
  $("redo").addEventListener("click", () => walk("redo"));
  $("keys").addEventListener("click", () => $("keys-dialog").showModal());
  $("single-keys").addEventListener("change", () => editor.set({ singleKeys: $("single-keys").checked }));
  editor.on(["singleKeys"], () => ($("single-keys").checked = editor.state.singleKeys));
  $("zoom-in").addEventListener("click", () => canvas.zoom(1.5));
  $("zoom-out").addEventListener("click", () => canvas.zoom(1 / 1.5));
  $("zoom-fit").addEventListener("click", () => canvas.fitView());
  listShortcuts(shortcuts);
  editor.on(["history"], () => {
    const { undo, redo } = editor.state.history;
    $("undo").disabled = !undo.length;
    $("redo").disabled = !redo.length;
    $("undo").title = undo.length ? `Undo: ${undo[undo.length - 1].text} (Ctrl+Z)` : "Undo (Ctrl+Z)";
    $("redo").title = redo.length ? `Redo: ${redo[redo.length - 1].text} (Ctrl+Shift+Z)` : "Redo (Ctrl+Shift+Z)";
  });
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target === canvas.canvas && canvas.key(event)) return event.preventDefault();
    const found = shortcuts.find((one) => one.keys === written(event));
    if (!found) return;
    const typing = target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=range])");
    if (typing && (!found.everywhere || found.keys === "ctrl+z" || found.keys === "ctrl+y" || found.keys === "ctrl+shift+z")) return;
    if (!found.everywhere && !editor.state.singleKeys && target !== canvas.canvas) return;
    event.preventDefault();
    found.does(event);
  });
}

/** @param {KeyboardEvent} event */
function written(event) {
  const key = event.key === "=" ? "+" : event.key.toLowerCase();
  const held = event.ctrlKey || event.metaKey ? "ctrl+" : "";
  return event.altKey ? "" : `${held}${held && event.shiftKey ? "shift+" : ""}${key}`;
}

/** @param {Shortcut[]} shortcuts */
function listShortcuts(shortcuts) {
  const more = [
    ["cursor keys", "Move the cell cursor (Shift: by ten)"], ["space", "Begin and end a stroke, set a corner"], ["enter", "Close a polygon or lasso"],
    ["esc", "Give the stroke up"], ["wheel", "Zoom"], ["right button", "Pick the class"],
  ];
  const rows = [...shortcuts.map(({ keys, text }) => [keys, text]), ...more];
  $("keys-list").append(...rows.map(([keys, text]) => h("p", {}, ...keys.split(/\+(?=.)/).map((key) => h("kbd", {}, key.length === 1 ? key.toUpperCase() : key)), h("span", {}, text))));
}
