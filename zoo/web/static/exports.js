/** Files for the user: maps and pictures by our own PNG writer, so that numbers stay numbers. */

import { colored, paletteBytes } from "./core/colours.js";
import { middle } from "./core/frames.js";
import { resizeMap } from "./core/maps.js";
import { decodePng, encodePng } from "./core/png.js";
import { framedCanvas } from "./view/frame.js";

/** @typedef {import("./editor.js").Editor} Editor @typedef {import("./core/types.js").LabelMap} LabelMap @typedef {import("./core/types.js").Space} Space */
/** @typedef {{width: number, height: number, data: Uint8Array}} Rgb */

/** Columns of a grid. */
const COLUMNS = 8;
const GAP = 2;

/** @param {Uint8Array<ArrayBuffer>} bytes */
const pngBlob = (bytes) => new Blob([bytes], { type: "image/png" });

/** @param {LabelMap} map @param {Space} [space] with colours (palette); without: grey numbers */
export async function mapPng(map, space) {
  const palette = space && paletteBytes(space.classes);
  return pngBlob(await encodePng({ width: map.width, height: map.height, data: map.labels, channels: 1, palette, text: { Software: "zoo editor", "label space": map.space } }));
}

/** @param {Blob} blob a PNG @returns {Promise<Rgb>} */
async function readRgb(blob) {
  const { width, height, channels, data } = await decodePng(new Uint8Array(await blob.arrayBuffer()));
  const out = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) out[3 * i + c] = data[i * channels + (channels > 2 ? c : 0)];
  return { width, height, data: out };
}

/** @param {LabelMap} map @param {Space} space @returns {Rgb} */
function mapRgb(map, space) {
  const rgba = colored(map.labels, paletteBytes(space.classes));
  const data = new Uint8Array(map.labels.length * 3);
  for (let i = 0; i < map.labels.length; i++) data.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
  return { width: map.width, height: map.height, data };
}

/** @param {Rgb} paper @param {Rgb} image @param {number} x @param {number} y */
function paste(paper, image, x, y) {
  for (let row = 0; row < image.height; row++)
    paper.data.set(image.data.subarray(row * image.width * 3, (row + 1) * image.width * 3), ((y + row) * paper.width + x) * 3);
}

/** @param {number} width @param {number} height @returns {Rgb} white */
const paperOf = (width, height) => ({ width, height, data: new Uint8Array(width * height * 3).fill(255) });

/** Map and picture side by side, the map at the picture's size. @param {LabelMap} map @param {Space} space @param {Blob} picture */
export async function pairPng(map, space, picture) {
  const right = await readRgb(picture);
  const left = mapRgb(resizeMap(map, right.width, right.height), space);
  const paper = paperOf(left.width + right.width, right.height);
  paste(paper, left, 0, 0);
  paste(paper, right, left.width, 0);
  return pngBlob(await encodePng({ ...paper, channels: 3 }));
}

/** Maps above their pictures, in rows. @param {{map: LabelMap, picture: Blob}[]} pairs @param {Record<string, Space>} spaces */
export async function gridPng(pairs, spaces) {
  const pictures = await Promise.all(pairs.map((one) => readRgb(one.picture)));
  const [w, h] = [Math.max(...pictures.map((one) => one.width)), Math.max(...pictures.map((one) => one.height))];
  const columns = Math.min(COLUMNS, pairs.length);
  const rows = Math.ceil(pairs.length / columns);
  const paper = paperOf(columns * (w + GAP) - GAP, rows * (2 * h + GAP) - GAP);
  pairs.forEach(({ map }, i) => {
    const [x, y] = [(i % columns) * (w + GAP), Math.floor(i / columns) * (2 * h + GAP)];
    paste(paper, mapRgb(resizeMap(map, pictures[i].width, pictures[i].height), spaces[map.space]), x, y);
    paste(paper, pictures[i], x, y + h);
  });
  return pngBlob(await encodePng({ ...paper, channels: 3 }));
}

/** The files that a command names. @param {Editor} editor @param {import("./core/commands.js").NamedFile[]} files @returns {Promise<{name: string, blob: Blob}[]>} */
export async function namedFiles(editor, files) {
  const { photos, map } = editor.state;
  return Promise.all(files.map(async ({ name, holds, photo }) => {
    const own = photo ? photos[photo] : null;
    if (holds === "map") return { name, blob: await mapPng(map, editor.space) };
    if (holds === "photo's map" && own?.map) return { name, blob: await mapPng(own.map, editor.facts.spaces[own.map.space]) };
    if (holds === "framed" && own) {
      const frame = own.frame ?? middle(own.width, own.height);
      const canvas = await framedCanvas(own, frame, Math.min(Math.max(Math.round(frame.side), 64), 1024));
      return { name, blob: await new Promise((done) => canvas.toBlob((made) => done(/** @type {Blob} */ (made)), "image/png")) };
    }
    return { name, blob: /** @type {Blob} */ (own?.blob) };
  }));
}

