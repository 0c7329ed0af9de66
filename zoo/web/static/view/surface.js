/** Drawing of the layout: the map by its nearest pixels over a picture or photo, the pointer's ring and the cell cursor. */

import { colored, paletteBytes } from "../core/colours.js";
import { matrix, middle } from "../core/frames.js";
import { toScreen } from "../core/views.js";
import { addressOf } from "./dom.js";

/** @typedef {import("../core/types.js").LabelMap} LabelMap @typedef {import("../core/types.js").Point} Point */

/** From this size of a pixel on, a grid helps more than it hides. */
const GRID_FROM = 14;

/** A canvas with a map's colours, one pixel each. @param {LabelMap} map @param {import("../core/types.js").Space} space @param {Set<number>} [hidden] @param {HTMLCanvasElement} [canvas] */
export function mapCanvas(map, space, hidden, canvas = document.createElement("canvas")) {
  if (canvas.width !== map.width || canvas.height !== map.height) Object.assign(canvas, { width: map.width, height: map.height });
  const pixels = colored(map.labels, paletteBytes(space.classes), hidden);
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(new ImageData(pixels, map.width, map.height), 0, 0);
  return canvas;
}

/** Pictures by their blobs, decoded. */
const images = new WeakMap();
/** @param {Blob} blob @param {() => void} [later] called once it is there @returns {HTMLImageElement | null} */
export function imageOf(blob, later) {
  let image = images.get(blob);
  if (!image) {
    image = new Image();
    image.src = addressOf(blob);
    images.set(blob, image);
  }
  if (image.complete && image.naturalWidth) return image;
  if (later) image.addEventListener("load", later, { once: true });
  return null;
}

export class Surface {
  /** @param {HTMLCanvasElement} canvas @param {import("../editor.js").Editor} editor */
  constructor(canvas, editor) {
    this.canvas = canvas;
    this.editor = editor;
    this.colours = document.createElement("canvas");
    /** @type {LabelMap | null} what is being painted */
    this.draft = null;
    /** @type {Point | null} the pointer, in pixels of the map */
    this.pointer = null;
    /** @type {Point | null} the cell cursor of the keyboard */
    this.cell = null;
    /** @type {Point[]} corners of a polygon */
    this.corners = [];
    this.view = { scale: 1, x: 0, y: 0 };
    this.size = [0, 0];
    this.drawn = /** @type {any[]} */ ([]);
    this.asked = 0;
  }

  /** Draw at the next frame. */
  ask() {
    if (!this.asked) this.asked = requestAnimationFrame(() => { this.asked = 0; this.draw(); });
  }

  /** @returns {[number, number]} CSS pixels */
  resize() {
    const box = this.canvas.getBoundingClientRect();
    const density = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.max(1, Math.round(box.width * density)), height: Math.max(1, Math.round(box.height * density)) });
    this.size = [box.width, box.height];
    return [box.width, box.height];
  }

  draw() {
    const { state, space } = this.editor;
    const map = this.draft ?? state.map;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    const density = this.canvas.width / Math.max(1, this.size[0]);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    // a draft is painted into in place: it is coloured anew each time
    if (this.draft || this.drawn[0] !== map || this.drawn[1] !== state.hidden) mapCanvas(map, space, state.hidden, this.colours);
    this.drawn = [this.draft ? null : map, state.hidden];
    const { scale, x, y } = this.view;
    const [w, h] = [map.width * scale, map.height * scale];
    context.setTransform(density, 0, 0, density, 0, 0);
    this.drawUnder(context, x, y, w, h);
    context.imageSmoothingEnabled = false;
    context.globalAlpha = state.opacity / 100;
    context.drawImage(this.colours, x, y, w, h);
    context.globalAlpha = 1;
    if (scale >= GRID_FROM) this.drawGrid(context, map);
    this.drawMarks(context);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} w @param {number} h */
  drawUnder(context, x, y, w, h) {
    const { state } = this.editor;
    const photo = state.photos[state.under];
    const blob = photo ? photo.blob : state.under === "picture" ? state.picture?.blob : null;
    context.fillStyle = "#8884";
    context.fillRect(x, y, w, h);
    const image = blob && imageOf(blob, () => this.ask());
    if (!image) return;
    context.imageSmoothingEnabled = true;
    if (!photo) return context.drawImage(image, x, y, w, h);
    context.save();
    context.beginPath();
    context.rect(x, y, w, h);
    context.clip();
    context.transform(w, 0, 0, h, x, y);
    context.transform(...matrix(photo.frame ?? middle(photo.width, photo.height), 1));
    context.drawImage(image, 0, 0);
    context.restore();
  }

  /** @param {CanvasRenderingContext2D} context @param {LabelMap} map */
  drawGrid(context, map) {
    const { scale, x, y } = this.view;
    context.beginPath();
    for (let column = 0; column <= map.width; column++) {
      const at = x + column * scale;
      if (at >= 0 && at <= this.size[0]) { context.moveTo(at, Math.max(y, 0)); context.lineTo(at, Math.min(y + map.height * scale, this.size[1])); }
    }
    for (let row = 0; row <= map.height; row++) {
      const at = y + row * scale;
      if (at >= 0 && at <= this.size[1]) { context.moveTo(Math.max(x, 0), at); context.lineTo(Math.min(x + map.width * scale, this.size[0]), at); }
    }
    context.strokeStyle = "#8886";
    context.lineWidth = 1;
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context */
  drawMarks(context) {
    const { state } = this.editor;
    const { scale } = this.view;
    if (this.corners.length) {
      context.beginPath();
      for (const corner of this.corners) {
        const [x, y] = toScreen(this.view, corner);
        context.moveTo(x + 3, y);
        context.arc(x, y, 3, 0, 7);
      }
      this.twoTone(context);
    }
    if (this.pointer && ["brush", "eraser", "line"].includes(state.tool)) {
      const [x, y] = toScreen(this.view, this.pointer);
      context.beginPath();
      context.arc(x, y, Math.max(state.size > 1 ? (Math.floor((state.size + 1) / 2) + 0.5) * scale : scale / 2, 2), 0, 7);
      this.twoTone(context);
    }
    if (this.cell) {
      const [x, y] = toScreen(this.view, this.cell);
      const half = Math.max(scale / 2, 4);
      context.beginPath();
      context.rect(x - half, y - half, 2 * half, 2 * half);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * (half + 3), y + dy * (half + 3));
        context.lineTo(x + dx * (half + 9), y + dy * (half + 9));
      }
      this.twoTone(context);
    }
  }

  /** Seen on dark and light. @param {CanvasRenderingContext2D} context */
  twoTone(context) {
    context.lineWidth = 3;
    context.strokeStyle = "#000a";
    context.stroke();
    context.lineWidth = 1.2;
    context.strokeStyle = "#fff";
    context.stroke();
  }
}
