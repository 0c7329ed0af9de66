/** Squares in photos, moved, scaled and turned by hand. Pure functions. */

/** @typedef {import("./types.js").Frame} Frame */

/** The middle square, as the command line cuts photos. @param {number} width @param {number} height @returns {Frame} */
export const middle = (width, height) => ({ x: width / 2, y: height / 2, side: Math.min(width, height), angle: 0 });

/** @param {Frame} frame @param {number} dx in sides, as seen in the turned square @param {number} dy @param {{width: number, height: number}} photo @returns {Frame} */
export function moved(frame, dx, dy, photo) {
  const turn = (frame.angle * Math.PI) / 180;
  const [c, s] = [Math.cos(turn) * frame.side, Math.sin(turn) * frame.side];
  // the centre stays in the photo: a frame of nothing but repeated edges helps nobody
  const x = Math.min(Math.max(frame.x + dx * c - dy * s, 0), photo.width);
  const y = Math.min(Math.max(frame.y + dx * s + dy * c, 0), photo.height);
  return { ...frame, x, y };
}

/** @param {Frame} frame @param {number} factor @param {{width: number, height: number}} photo @returns {Frame} */
export function scaled(frame, factor, photo) {
  const largest = 2 * Math.max(photo.width, photo.height);
  return { ...frame, side: Math.min(Math.max(frame.side * factor, 8), largest) };
}

/** @param {Frame} frame @param {number} degrees @returns {Frame} */
export function turned(frame, degrees) {
  const angle = ((((frame.angle + degrees + 180) % 360) + 360) % 360) - 180;
  return { ...frame, angle };
}

/** Whether a frame is the middle square, for which none need be sent. @param {Frame} frame @param {{width: number, height: number}} photo */
export function isMiddle(frame, photo) {
  const own = middle(photo.width, photo.height);
  return frame.angle === 0 && frame.side === own.side && frame.x === own.x && frame.y === own.y;
}

/**
 * The matrix (a, b, c, d, e, f of a canvas) that draws a photo so that the frame fills a square of `size`.
 * @param {Frame} frame @param {number} size @returns {[number, number, number, number, number, number]}
 */
export function matrix(frame, size) {
  const turn = (-frame.angle * Math.PI) / 180;
  const scale = size / frame.side;
  const [c, s] = [Math.cos(turn) * scale, Math.sin(turn) * scale];
  return [c, s, -s, c, size / 2 - frame.x * c + frame.y * s, size / 2 - frame.x * s - frame.y * c];
}
