/** Label maps that were dropped into the page: PNG of class numbers (grey or palette), or of a space's colours. */

import { decodePng } from "../../core/png.js";
import { EngineError } from "../errors.js";

/** @typedef {import("../../core/types.js").LabelMap} LabelMap @typedef {import("../../core/types.js").Facts} Facts */

const COMMAND = "zoo mask inspect tells what it is, and the page of zoo ui reads more kinds.";

/** @param {Facts} facts @param {Blob} blob @param {string} name @param {string} [read] the label space of its numbers; "": as it seems
 * @returns {Promise<import("../../core/types.js").MapResult>} */
export async function readMap(facts, blob, name, read = "") {
  if (blob.size > facts.limits.uploadBytes) throw new EngineError(`${name} has ${blob.size} bytes; at most ${facts.limits.uploadBytes} are taken.`);
  const most = facts.limits.mapPixels ?? facts.limits.pixels;
  let image;
  try {
    image = await decodePng(new Uint8Array(await blob.arrayBuffer()), most);
  } catch (error) {
    throw new EngineError(`${name} is no map that this page reads (${error instanceof Error ? error.message : error}): a PNG of 8 bits is needed. ${COMMAND}`);
  }
  return image.channels === 1 ? ofNumbers(facts, image, name, read) : ofColours(facts, image, name);
}

/** The spaces of the models, the first synthesizer's first. @param {Facts} facts */
function spaces(facts) {
  const first = facts.synthesizers.find((model) => model.default) ?? facts.synthesizers[0];
  return Object.keys(facts.spaces).sort((a, b) => Number(b === first?.space) - Number(a === first?.space));
}

/** @param {Facts} facts @param {{width: number, height: number, data: Uint8Array}} image @param {string} name @param {string} read */
function ofNumbers(facts, { width, height, data }, name, read) {
  const most = data.reduce((a, b) => Math.max(a, b), 0);
  const fitting = spaces(facts).filter((space) => most < facts.spaces[space].classes.length);
  if (!fitting.length) throw new EngineError(`${name} holds the number ${most}, which no label space of this page has. ${COMMAND}`);
  if (read && !fitting.includes(read)) throw new EngineError(`${name} holds the number ${most}, which ${read} lacks.`);
  const space = read || fitting[0];
  const notes = [`Read as class numbers of ${space}.`];
  if (fitting.length > 1) notes.push(`Its numbers are legal in ${fitting.filter((other) => other !== space).join(" and ")}, too.`);
  return { map: { width, height, space, labels: data }, notes, readings: fitting };
}

/** @param {Facts} facts @param {{width: number, height: number, channels: number, data: Uint8Array}} image @param {string} name */
function ofColours(facts, { width, height, channels, data }, name) {
  if (channels < 3) throw new EngineError(`${name} is a grey picture with an alpha, no map. ${COMMAND}`);
  const colour = (/** @type {number} */ i) => (data[channels * i] << 16) | (data[channels * i + 1] << 8) | data[channels * i + 2];
  for (const space of spaces(facts)) {
    const numbers = new Map(facts.spaces[space].classes.map((one, value) => [parseInt(one.color.slice(1), 16), value]));
    const labels = new Uint8Array(width * height);
    let i = 0;
    for (; i < labels.length; i++) {
      const value = numbers.get(colour(i));
      if (value === undefined) break;
      labels[i] = value;
    }
    if (i === labels.length) return { map: { width, height, space, labels }, notes: [`Read as the colours of ${space}.`] };
  }
  throw new EngineError(`${name} has colours that are no class's: it is a photo, or a map in colours that nobody knows here. ${COMMAND}`);
}
