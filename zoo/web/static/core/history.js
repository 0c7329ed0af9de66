/** Undo and redo as steps back and forth. A step holds the pixels that changed, a whole map, a look, or names a photo that goes. Pure functions. */

/** @typedef {import("./types.js").History} History @typedef {import("./types.js").Step} Step */
/** @typedef {import("./types.js").Patch} Patch @typedef {import("./types.js").LabelMap} LabelMap @typedef {import("./types.js").Look} Look */

/** @returns {History} */
export const emptyHistory = () => ({ undo: [], redo: [] });

/** What changed; null: nothing. @param {Uint8Array} was @param {Uint8Array} now @returns {Patch | null} */
export function difference(was, now) {
  const runs = [];
  let total = 0;
  for (let i = 0; i < was.length; i++) {
    if (was[i] === now[i]) continue;
    const start = i;
    while (i < was.length && was[i] !== now[i]) i++;
    runs.push(start, i - start);
    total += i - start;
  }
  if (!total) return null;
  const patch = { runs: Uint32Array.from(runs), was: new Uint8Array(total), now: new Uint8Array(total) };
  let at = 0;
  for (let r = 0; r < runs.length; r += 2) {
    patch.was.set(was.subarray(runs[r], runs[r] + runs[r + 1]), at);
    patch.now.set(now.subarray(runs[r], runs[r] + runs[r + 1]), at);
    at += runs[r + 1];
  }
  return patch;
}

/** A map with a patch applied, or taken back. @param {LabelMap} map @param {Patch} patch @param {"was" | "now"} side @returns {LabelMap} */
export function patched(map, patch, side) {
  const labels = map.labels.slice();
  let at = 0;
  for (let r = 0; r < patch.runs.length; r += 2) {
    labels.set(patch[side].subarray(at, at + patch.runs[r + 1]), patch.runs[r]);
    at += patch.runs[r + 1];
  }
  return { ...map, labels };
}

/** The step from one map to another; null where they are equal. @param {LabelMap} was @param {LabelMap} now @param {string} text @returns {Step | null} */
export function mapStep(was, now, text) {
  if (was.space !== now.space || was.width !== now.width || was.height !== now.height) return { text, maps: { was, now } };
  const patch = difference(was.labels, now.labels);
  return patch && { text, patch };
}

/** @param {History} history @param {Step} step @returns {History} */
export const withStep = (history, step) => ({ undo: [...history.undo, step], redo: [] });

/**
 * One step back or forth. Null where there is none.
 * @param {History} history @param {"undo" | "redo"} way @param {{map: LabelMap, look: Look}} now
 * @returns {{history: History, map: LabelMap, look: Look, text: string, removed?: string} | null}
 */
export function walk(history, way, now) {
  const step = history[way][history[way].length - 1];
  if (!step) return null;
  const side = way === "undo" ? "was" : "now";
  const other = way === "undo" ? "redo" : "undo";
  const left = history[way].slice(0, -1);
  const right = [...history[other], step];
  return {
    history: way === "undo" ? { undo: left, redo: right } : { undo: right, redo: left },
    map: step.patch ? patched(now.map, step.patch, side) : step.maps ? step.maps[side] : now.map,
    look: step.looks ? step.looks[side] : now.look,
    text: step.text,
    removed: step.removed,
  };
}
