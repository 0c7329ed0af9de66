/** The dialog in which a photo is framed by hand. */

import { matrix, middle, moved, scaled, turned } from "../core/frames.js";
import { $, addressOf, ask } from "./dom.js";
import { imageOf } from "./surface.js";

/** @typedef {import("../core/types.js").Frame} Frame @typedef {import("../core/types.js").Photo} Photo */

/** @param {{blob: Blob}} photo @returns {Promise<HTMLImageElement>} */
async function loaded(photo) {
  const there = imageOf(photo.blob);
  if (there) return there;
  const image = new Image();
  image.src = addressOf(photo.blob);
  await image.decode();
  return image;
}

/** A photo's frame as a square; beyond the photo its edges go on. @param {Photo} photo @param {Frame} frame @param {number} size */
export async function framedCanvas(photo, frame, size) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  draw(canvas, await loaded(photo), photo, frame);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @param {HTMLImageElement} image @param {{width: number, height: number}} photo @param {Frame} frame */
function draw(canvas, image, photo, frame) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#888";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.setTransform(...matrix(frame, canvas.width));
  context.drawImage(image, 0, 0, photo.width, photo.height);
}

/** Resolves to the frame; null: given up. @param {Photo} photo @returns {Promise<Frame | null>} */
export async function frameByHand(photo) {
  const canvas = /** @type {HTMLCanvasElement} */ ($("frame"));
  const image = await loaded(photo);
  const own = middle(photo.width, photo.height);
  let frame = photo.frame ?? own;
  const show = () => {
    draw(canvas, image, photo, frame);
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.strokeStyle = "#fff8";
    context.beginPath();
    for (const at of [1 / 3, 2 / 3]) {
      context.moveTo(at * canvas.width, 0);
      context.lineTo(at * canvas.width, canvas.height);
      context.moveTo(0, at * canvas.height);
      context.lineTo(canvas.width, at * canvas.height);
    }
    context.stroke();
    $("frame-scale").value = Math.round(100 * Math.log2(own.side / frame.side));
    $("frame-angle").value = frame.angle;
    $("frame-angle-out").textContent = `${Math.round(frame.angle * 10) / 10}°`;
  };
  const stop = new AbortController();
  const on = (/** @type {string} */ id, /** @type {string} */ kind, /** @type {(event: any) => void} */ listener) =>
    $(id).addEventListener(kind, (/** @type {Event} */ event) => { listener(event); show(); }, { signal: stop.signal, passive: false });
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  on("frame", "pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); down.set(event.pointerId, { x: event.clientX, y: event.clientY }); });
  on("frame", "pointerup", (event) => down.delete(event.pointerId));
  on("frame", "pointercancel", (event) => down.delete(event.pointerId));
  on("frame", "pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (!before) return;
    const here = { x: event.clientX, y: event.clientY };
    const other = [...down].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const span = (/** @type {{x: number, y: number}} */ one) => ({ far: Math.max(Math.hypot(one.x - other.x, one.y - other.y), 1), turn: Math.atan2(one.y - other.y, one.x - other.x) });
      const [a, b] = [span(before), span(here)];
      frame = turned(scaled(frame, a.far / b.far, photo), ((a.turn - b.turn) * 180) / Math.PI);
    } else {
      const size = canvas.getBoundingClientRect().width;
      frame = moved(frame, -(here.x - before.x) / size, -(here.y - before.y) / size, photo);
    }
    down.set(event.pointerId, here);
  });
  on("frame", "wheel", (event) => { event.preventDefault(); frame = scaled(frame, Math.exp(event.deltaY * 0.001), photo); });
  on("frame", "keydown", (event) => {
    const ways = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [0.02, 0], ArrowRight: [-0.02, 0], ArrowUp: [0, 0.02], ArrowDown: [0, -0.02] });
    if (ways[event.key]) frame = moved(frame, ways[event.key][0], ways[event.key][1], photo);
    else if (event.key === "+" || event.key === "=") frame = scaled(frame, 1 / 1.05, photo);
    else if (event.key === "-") frame = scaled(frame, 1.05, photo);
    else if (event.key === ",") frame = turned(frame, 1);
    else if (event.key === ".") frame = turned(frame, -1);
    else return;
    event.preventDefault();
  });
  on("frame-scale", "input", () => (frame = { ...frame, side: own.side / 2 ** ($("frame-scale").value / 100) }));
  on("frame-angle", "input", () => (frame = { ...frame, angle: Number($("frame-angle").value) }));
  on("frame-middle", "click", () => (frame = own));
  show();
  const answer = await ask($("frame-dialog"));
  stop.abort();
  return answer === "ok" ? frame : null;
}
