/** Label maps that were dropped into the page: PNG of class numbers (grey or palette), or of a space's colours. */

import { decodePng } from "../../core/png.js";
import { EngineError } from "../errors.js";

/** @typedef {import("../../core/types.js").LabelMap} LabelMap @typedef {import("../../core/types.js").Facts} Facts */

const COMMAND = "zoo mask inspect tells what it is, and the page of zoo ui reads more kinds.";

/** @param {Facts} facts @param {Blob} blob @param {string} name @returns {Promise<{map: LabelMap, notes: string[]}>} */
export async function readMap(facts, blob, name) {
  if (blob.size > facts.limits.uploadBytes) throw new EngineError(`${name} has ${blob.size} bytes; at most ${facts.limits.uploadBytes} are taken.`);
  let image;
  try {
    image = await decodePng(new Uint8Array(await blob.arrayBuffer()));
  } catch (error) {
    throw new EngineError(`${name} is no map that this page reads (${error instanceof Error ? error.message : error}): a PNG of 8 bits is needed. ${COMMAND}`);
  }
  if (image.width * image.height > facts.limits.pixels) throw new EngineError(`${name} has ${image.width} x ${image.height} pixels, more than ${facts.limits.pixels}.`);
  return image.channels === 1 ? ofNumbers(facts, image, name) : ofColours(facts, image, name);
}

/** The spaces of the models, the first synthesizer's first. @param {Facts} facts */
function spaces(facts) {
  const first = facts.synthesizers.find((model) => model.default) ?? facts.synthesizers[0];
  return Object.keys(facts.spaces).sort((a, b) => Number(b === first?.space) - Number(a === first?.space));
}

/** @param {Facts} facts @param {{width: number, height: number, data: Uint8Array}} image @param {string} name */
function ofNumbers(facts, { width, height, data }, name) {
  const most = data.reduce((a, b) => Math.max(a, b), 0);
  const fitting = spaces(facts).filter((space) => most < facts.spaces[space].classes.length);
  if (!fitting.length) throw new EngineError(`${name} holds the number ${most}, which no label space of this page has. ${COMMAND}`);
  const notes = [`Read as class numbers of ${fitting[0]}.`];
  if (fitting.length > 1) notes.push(`Its numbers are legal in ${fitting.slice(1).join(" and ")}, too.`);
  return { map: { width, height, space: fitting[0], labels: data }, notes };
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
