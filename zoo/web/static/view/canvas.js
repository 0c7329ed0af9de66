/** The layout's canvas: pointers (mouse, touch, pen) and the keyboard become gestures, pans and zooms. */

import { Gesture } from "../core/gestures.js";
import { nameOf } from "../core/maps.js";
import { pick } from "../core/shapes.js";
import { fitted, panned, toPixel, toScreen, zoomed } from "../core/views.js";
import { $, say } from "./dom.js";
import { Surface } from "./surface.js";

/** @typedef {import("../core/types.js").Point} Point */

/** What the undo list and the history say. */
const WORDS = /** @type {Record<string, string>} */ ({ brush: "Brush", eraser: "Eraser", line: "Line", rectangle: "Rectangle", polygon: "Polygon", lasso: "Lasso", fill: "Fill" });

export class LayoutCanvas {
  /** @param {import("../editor.js").Editor} editor @param {(text: string) => void} painted called after each stroke */
  constructor(editor, painted) {
    this.editor = editor;
    this.painted = painted;
    this.canvas = /** @type {HTMLCanvasElement} */ ($("layout"));
    this.surface = new Surface(this.canvas, editor);
    /** @type {Gesture | null} */
    this.gesture = null;
    /** @type {Map<number, {x: number, y: number, type: string}>} pointers that are down */
    this.down = new Map();
    this.panning = false;
    this.pinched = false;
    this.fit = true;
    this.listen();
    new ResizeObserver(() => { this.surface.resize(); if (this.fit) this.fitView(); else this.surface.draw(); }).observe(this.canvas);
    let shape = "";
    editor.on(["map", "hidden", "opacity", "under", "picture", "photos", "size", "tool", "value"], () => {
      const { map } = editor.state;
      if (shape !== `${map.width}x${map.height}`) { shape = `${map.width}x${map.height}`; this.fitView(); }
      this.surface.ask();
    });
    editor.on(["tool", "map"], () => this.giveUp());
  }

  listen() {
    const on = (/** @type {string} */ kind, /** @type {(event: any) => void} */ listener) => this.canvas.addEventListener(kind, listener, { passive: false });
    on("pointerdown", (event) => this.pressed(event));
    on("pointermove", (event) => this.moved(event));
    on("pointerup", (event) => this.released(event, true));
    on("pointercancel", (event) => this.released(event, false));
    on("pointerleave", () => { this.surface.pointer = null; this.surface.ask(); });
    on("dblclick", (event) => { event.preventDefault(); if (this.editor.state.tool === "polygon") this.finish(); });
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => {
      event.preventDefault();
      const { x, y } = this.place(event);
      this.setView(zoomed(this.surface.view, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), x, y));
    });
    on("blur", () => { this.surface.cell = null; this.surface.ask(); });
  }

  /** @param {MouseEvent} event */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** @param {PointerEvent} event @returns {Point} */
  pixel(event) {
    const { x, y } = this.place(event);
    return toPixel(this.surface.view, x, y);
  }

  /** @param {PointerEvent} event */
  pressed(event) {
    // a palm on the glass paints nothing while a pen does
    if (event.pointerType === "touch" && [...this.down.values()].some((one) => one.type === "pen")) return;
    // nor does one that lay there before the pen came
    if (event.pointerType === "pen") for (const [id, one] of this.down) if (one.type === "touch") this.down.delete(id);
    this.canvas.focus({ preventScroll: true });
    event.preventDefault();
    this.surface.cell = null;
    this.canvas.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, { ...this.place(event), type: event.pointerType });
    const touches = [...this.down.values()].filter((one) => one.type === "touch").length;
    if (touches > 1) {
      this.pinched = true; // two fingers move the map; what the first began is given up
      return this.giveUp();
    }
    const { tool } = this.editor.state;
    if (tool === "hand" || event.button === 1) { this.panning = true; return; }
    const at = this.pixel(event);
    if (tool === "pick" || event.button === 2 || event.altKey) return this.pick(at);
    if (tool === "polygon" && this.gesture) {
      const [x, y] = toScreen(this.surface.view, this.gesture.points[0]);
      const here = this.place(event);
      return Math.hypot(here.x - x, here.y - y) < 8 && this.gesture.points.length > 2 ? this.finish() : this.corner(at);
    }
    this.begin(at, (event.buttons & 32) > 0, event.shiftKey, this.sizeOf(event));
    this.surface.ask();
  }

  /** @param {PointerEvent} event */
  moved(event) {
    const before = this.down.get(event.pointerId);
    const here = this.place(event);
    this.surface.pointer = event.pointerType === "touch" ? null : this.pixel(event);
    if (before) this.down.set(event.pointerId, { ...here, type: event.pointerType });
    if (before && this.pinched) this.pinch(event.pointerId, before, here);
    else if (before && this.panning) this.pan(here.x - before.x, here.y - before.y);
    else if (this.gesture && (before || this.editor.state.tool === "polygon")) {
      const all = event.getCoalescedEvents?.() ?? [];
      for (const one of all.length ? all : [event]) this.gesture.move(this.pixel(one), this.sizeOf(one));
    }
    this.surface.ask();
  }

  /** @param {PointerEvent} event @param {boolean} good */
  released(event, good) {
    if (!this.down.delete(event.pointerId)) return;
    if (this.down.size === 0) {
      this.panning = false;
      if (this.pinched) { this.pinched = false; return; }
    }
    if (!good) return this.giveUp();
    if (this.gesture && this.editor.state.tool !== "polygon") this.finish();
  }

  /** Two fingers: their middle moves, their distance scales. @param {number} id @param {{x: number, y: number}} before @param {{x: number, y: number}} here */
  pinch(id, before, here) {
    const other = [...this.down].find(([key, one]) => key !== id && one.type === "touch")?.[1];
    if (!other) return;
    const distance = (/** @type {{x: number, y: number}} */ one) => Math.max(Math.hypot(one.x - other.x, one.y - other.y), 1);
    this.pan((here.x - before.x) / 2, (here.y - before.y) / 2);
    this.setView(zoomed(this.surface.view, distance(here) / distance(before), (here.x + other.x) / 2, (here.y + other.y) / 2));
  }

  /** @param {PointerEvent} event */
  sizeOf(event) {
    const { size, pressure } = this.editor.state;
    return pressure && event.pointerType === "pen" ? Math.max(1, Math.round(size * 2 * event.pressure)) : size;
  }

  /** @param {Point} at @param {boolean} [erase] a pen's other end @param {boolean} [everywhere] fill the class everywhere @param {number} [size] of a pen's pressure */
  begin(at, erase = false, everywhere = false, size = this.editor.state.size) {
    const { map, tool, value } = this.editor.state;
    const kind = erase ? "eraser" : tool;
    const paint = kind === "eraser" ? this.editor.space.background : value;
    this.gesture = new Gesture(map, { tool: /** @type {any} */ (kind), value: paint, size, everywhere }, at);
    this.surface.draft = this.gesture.draft;
    this.surface.corners = tool === "polygon" ? this.gesture.points : [];
    if (kind === "fill") this.finish();
  }

  /** @param {Point} at */
  corner(at) {
    this.gesture?.corner(at);
    this.surface.ask();
  }

  /** The draft becomes the map. */
  finish() {
    const { gesture } = this;
    if (!gesture) return;
    if (gesture.options.tool === "polygon") gesture.draw(gesture.points[gesture.points.length - 1]);
    this.gesture = this.surface.draft = null;
    this.surface.corners = [];
    const name = this.editor.space.classes[gesture.options.value].name;
    const text = `${WORDS[gesture.options.tool]}, ${name}`;
    const made = gesture.options.tool === "brush" || gesture.options.tool === "line"
      ? { kind: "paint", text, stroke: `${name}@${gesture.options.size}=${gesture.points.map((point) => point.join(",")).join(":")}` } : undefined;
    if (this.editor.setMap(gesture.draft, text, made)) this.painted(text);
    this.surface.ask();
  }

  giveUp() {
    if (!this.gesture) return false;
    this.gesture = this.surface.draft = null;
    this.surface.corners = [];
    this.surface.ask();
    return true;
  }

  /** @param {Point} at */
  pick(at) {
    const value = pick(this.editor.state.map, at);
    if (value === null) return;
    this.editor.choose(value);
    say(`Class ${nameOf(this.editor.space, value)}.`);
  }

  /** @param {import("../core/types.js").View} view */
  setView(view) {
    this.fit = false;
    this.surface.view = panned(view, 0, 0, this.editor.state.map, this.surface.size[0], this.surface.size[1]);
    this.surface.ask();
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.setView(panned(this.surface.view, dx, dy, this.editor.state.map, this.surface.size[0], this.surface.size[1]));
  }

  /** @param {number} factor around the middle */
  zoom(factor) {
    this.setView(zoomed(this.surface.view, factor, this.surface.size[0] / 2, this.surface.size[1] / 2));
  }

  fitView() {
    const [w, h] = this.surface.resize();
    const { map } = this.editor.state;
    this.surface.view = fitted(map.width, map.height, Math.max(w, 1), Math.max(h, 1));
    this.fit = true;
    this.surface.draw();
  }

  /** Keys of the focused canvas. @param {KeyboardEvent} event @returns {boolean} whether it was one of them */
  key(event) {
    const arrows = /** @type {Record<string, Point>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });
    if (event.key === "Escape") return this.giveUp();
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (arrows[event.key]) return this.step(arrows[event.key], event.shiftKey ? 10 : 1);
    if (event.key === " ") return this.press(event);
    if (event.key === "Enter") {
      if (!this.gesture) return this.press(event);
      this.finish();
      return true;
    }
    return false;
  }

  /** @param {Point} way @param {number} far */
  step([dx, dy], far) {
    const { map } = this.editor.state;
    const old = this.surface.cell ?? [map.width >> 1, map.height >> 1];
    /** @type {Point} */
    const cell = this.surface.cell
      ? [Math.min(Math.max(old[0] + dx * far, 0), map.width - 1), Math.min(Math.max(old[1] + dy * far, 0), map.height - 1)] : [old[0], old[1]];
    this.surface.cell = cell;
    this.gesture?.move(cell);
    this.reveal(cell);
    this.surface.ask();
    const value = map.labels[cell[1] * map.width + cell[0]];
    say(`${cell[0]}, ${cell[1]}: ${nameOf(this.editor.space, value)}`);
    return true;
  }

  /** Space: a brush goes down and up again, a shape gets a corner. @param {KeyboardEvent} event */
  press(event) {
    const { map, tool } = this.editor.state;
    this.surface.cell ??= [map.width >> 1, map.height >> 1];
    const { cell } = this.surface;
    if (tool === "hand" || event.repeat) return true;
    if (tool === "pick") this.pick(cell);
    else if (!this.gesture) {
      this.begin(cell, false, event.shiftKey);
      if (this.gesture) say(`${WORDS[tool]} begun. Move, then Space or Enter.`);
    } else if (tool === "polygon" || tool === "lasso") this.corner(cell);
    else this.finish();
    this.surface.ask();
    return true;
  }

  /** @param {Point} cell */
  reveal(cell) {
    const [x, y] = toScreen(this.surface.view, cell);
    const [w, h] = this.surface.size;
    const beyond = (/** @type {number} */ at, /** @type {number} */ size) => (at < 20 ? 20 - at : at > size - 20 ? size - 20 - at : 0);
    if (!this.fit && (beyond(x, w) || beyond(y, h))) this.pan(beyond(x, w), beyond(y, h));
  }
}
