/** How many pixels a picture says that it has, read off its first bytes: a few bytes may claim what no memory holds. Pure functions. */

/** (width, height) of a PNG, JPEG, GIF, BMP or WebP; null where that is not known. @param {Uint8Array} bytes @returns {[number, number] | null} */
export function statedSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const is = (/** @type {string} */ text, at = 0) => [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
  try {
    if (is("\x89PNG")) return [view.getUint32(16), view.getUint32(20)];
    if (is("GIF8")) return [view.getUint16(6, true), view.getUint16(8, true)];
    if (is("BM")) return [Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true))];
    if (is("RIFF") && is("WEBP", 8)) return webp(view, is);
    if (is("\xff\xd8")) return jpeg(view);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // cut off: the decoder says so
  }
  return null;
}

/** @param {DataView} view @returns {[number, number] | null} */
function jpeg(view) {
  for (let at = 2; ; ) {
    if (view.getUint8(at) !== 0xff) return null;
    const mark = view.getUint8(at + 1);
    if (mark === 0xff) { at++; continue; } // a filling byte
    const frame = mark >= 0xc0 && mark <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(mark);
    if (frame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    at += 2 + view.getUint16(at + 2);
  }
}

/** @param {DataView} view @param {(text: string, at: number) => boolean} is @returns {[number, number] | null} */
function webp(view, is) {
  const three = (/** @type {number} */ at) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
  if (is("VP8X", 12)) return [three(24) + 1, three(27) + 1];
  if (is("VP8 ", 12)) return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  if (!is("VP8L", 12)) return null;
  const bits = view.getUint32(21, true);
  return [(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1];
}
