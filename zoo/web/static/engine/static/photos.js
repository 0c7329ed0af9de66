/** Photos that were dropped into the page: decoded by the browser, cut by a frame, read by a parser. */

import { middle } from "../../core/frames.js";
import { sha256 } from "../../core/sha256.js";
import { statedSize } from "../../core/sizes.js";
import { EngineError } from "../errors.js";
import { fitPhoto, resizeMap, strongest } from "./resample.js";
import { mapped } from "./spaces.js";

/** @typedef {import("../../core/types.js").Frame} Frame @typedef {import("../../core/types.js").LabelMap} LabelMap */
/** @typedef {{width: number, height: number, data: Uint8Array | Uint8ClampedArray}} Pixels  RGBA, row-major, upright */
/** @typedef {{planes: Float32Array, height: number, width: number}} Cut  red, green and blue planes in [0, 1] */
/** @typedef {import("./models.js").Models} Models @typedef {import("./models.js").ExportedModel} ExportedModel */

/** Pixels of all photos that are kept decoded (four bytes each); the one used last is. */
const DECODED = 96_000_000;
/** Pixels of a side to which a turned or scaled cut is sampled at most. */
const SIDE = 1024;

export class Photos {
  /** @param {(blob: Blob) => Promise<Pixels>} decode @param {{uploadBytes: number, pixels: number}} limits */
  constructor(decode, limits) {
    this.decode = decode;
    this.limits = limits;
    /** @type {Map<string, Blob>} all that came */
    this.blobs = new Map();
    /** @type {Map<string, Pixels>} the one used last at the end */
    this.decoded = new Map();
  }

  /** @param {Blob} blob */
  async add(blob) {
    if (blob.size > this.limits.uploadBytes) throw new EngineError(`The photo has ${blob.size} bytes; at most ${this.limits.uploadBytes} are taken.`);
    const bytes = new Uint8Array(await blob.arrayBuffer());
    this.check(...(statedSize(bytes) ?? [0, 0])); // before it is decoded
    const photo = sha256(bytes);
    const { width, height } = this.keep(photo, this.decoded.get(photo) ?? (await this.decode(blob)));
    this.blobs.set(photo, blob);
    return { photo, width, height, notes: [] };
  }

  /** @param {number} width @param {number} height */
  check(width, height) {
    if (width * height > this.limits.pixels) throw new EngineError(`The photo has ${width} x ${height} pixels, more than ${this.limits.pixels}.`);
  }

  /** @param {string} id @param {Pixels} pixels */
  keep(id, pixels) {
    this.check(pixels.width, pixels.height);
    this.decoded.delete(id);
    this.decoded.set(id, pixels);
    let total = [...this.decoded.values()].reduce((sum, one) => sum + one.width * one.height, 0);
    for (const [old, { width, height }] of this.decoded) {
      if (old === id || total <= DECODED) break;
      this.decoded.delete(old);
      total -= width * height;
    }
    return pixels;
  }

  /** @param {string} id @returns {Promise<Pixels>} */
  async get(id) {
    const blob = this.blobs.get(id);
    if (!blob) throw new EngineError("The page no longer has this photo: drop it in again.");
    return this.keep(id, this.decoded.get(id) ?? (await this.decode(blob)));
  }
}

/** The part of a photo that a frame shows (none: the middle square), in the photo's own pixels. @param {Pixels} photo @param {Frame} [frame] @returns {Cut} */
export function cut(photo, frame) {
  const { x, y, side, angle } = frame ?? wholeMiddle(photo);
  const [left, top] = [x - side / 2, y - side / 2];
  const straight = angle % 360 === 0 && [left, top, side].every(Number.isInteger);
  const size = Math.max(1, Math.round(Math.min(side, straight ? side : SIDE)));
  const planes = new Float32Array(3 * size * size);
  const inside = straight && left >= 0 && top >= 0 && left + side <= photo.width && top + side <= photo.height;
  const turn = (angle * Math.PI) / 180;
  const [c, s] = [Math.cos(turn) * side, Math.sin(turn) * side];
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      const [v, u] = [(i + 0.5) / size - 0.5, (j + 0.5) / size - 0.5];
      for (let plane = 0; plane < 3; plane++) {
        const value = inside ? photo.data[4 * ((top + i) * photo.width + left + j) + plane] : sampled(photo, x + u * c - v * s - 0.5, y + u * s + v * c - 0.5, plane);
        planes[plane * size * size + i * size + j] = value / 255;
      }
    }
  return { planes, height: size, width: size };
}

/** On whole pixels, as the command line cuts it. @param {Pixels} photo @returns {Frame} */
function wholeMiddle({ width, height }) {
  const side = Math.min(width, height);
  return { ...middle(width, height), x: Math.floor((width - side) / 2) + side / 2, y: Math.floor((height - side) / 2) + side / 2 };
}

/** Bilinear; what lies outside repeats the edge. @param {Pixels} photo @param {number} x @param {number} y @param {number} plane */
function sampled({ width, height, data }, x, y, plane) {
  const [left, top] = [Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)];
  const [x0, y0] = [Math.floor(left), Math.floor(top)];
  const [x1, y1] = [Math.min(x0 + 1, width - 1), Math.min(y0 + 1, height - 1)];
  const at = (/** @type {number} */ row, /** @type {number} */ column) => data[4 * (row * width + column) + plane];
  const [u, v] = [left - x0, top - y0];
  return (at(y0, x0) * (1 - u) + at(y0, x1) * u) * (1 - v) + (at(y1, x0) * (1 - u) + at(y1, x1) * u) * v;
}

/** @param {Cut} picture @param {[number, number]} size @returns {import("./tensors.js").Tensor} */
export const photoTensor = (picture, size) => ({ data: fitPhoto(picture.planes, 3, [picture.height, picture.width], size), dims: [1, 3, ...size] });

/**
 * What a parser sees in a cut photo, at `size`.
 * @param {ExportedModel} parser @param {Cut} picture @param {[number, number]} size @returns {Promise<LabelMap>}
 */
export async function parsed(parser, picture, size) {
  const { scores } = await parser.run("parse", { image: photoTensor(picture, parser.resolution) });
  const channels = strongest(/** @type {Float32Array} */ (scores.data), parser.channels.length, parser.resolution, [picture.height, picture.width], size);
  return { width: size[1], height: size[0], space: parser.space.name, labels: channels.map((channel) => parser.values[channel]) };
}

/** The parser that a job names, else the first whose maps a space takes. @param {Models} models @param {string | undefined} id @param {string} space */
export function parserFor(models, id, space) {
  const { parsers } = models.site.facts;
  const found = id ?? parsers.find((model) => model.space === space)?.id ?? parsers.find((model) => models.site.mappings[`${model.space}>${space}`])?.id;
  if (!found) throw new EngineError(`No parser of this page reads photos into ${space}.`);
  return models.get(found);
}

/** The job "parse". @param {Models} models @param {Photos} photos @param {any} job */
export async function parse(models, photos, job) {
  const space = job.space ?? models.site.facts.parsers[0]?.space;
  const parser = await parserFor(models, job.parser, space);
  const found = await parsed(parser, cut(await photos.get(job.photo), job.frame), job.size ?? parser.resolution);
  if (!job.space) return { map: found, notes: [] };
  const { map, dropped } = mapped(models.site, found, job.space);
  return { map, notes: dropped.length ? [`${job.space} has no ${dropped.join(", ")}.`] : [] };
}

/**
 * A photo as a source frames it, and its map (given, or read by a parser) in a synthesizer's space; both at its resolution.
 * @param {Models} models @param {Photos} photos @param {{photo: string, frame?: Frame, map?: LabelMap}} source
 * @param {ExportedModel} synthesizer @param {string} [reader] a parser
 */
export async function framed(models, photos, source, synthesizer, reader) {
  const picture = cut(await photos.get(source.photo), source.frame);
  const size = synthesizer.resolution;
  const space = synthesizer.space.name;
  const own = source.map ? resizeMap(source.map, size) : await parsed(await parserFor(models, reader, space), picture, size);
  return { image: photoTensor(picture, size), map: mapped(models.site, own, space).map };
}
