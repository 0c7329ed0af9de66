/**
 * An exact PNG reader and writer for bytes of 8 bits: class numbers (grey, palette) and pictures (RGB, RGBA). A canvas would bring
 * colours and an alpha between us and the numbers.
 */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS = /** @type {Record<number, number>} */ ({ 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 });

/**
 * @param {{width: number, height: number, data: Uint8Array, channels: 1 | 3, palette?: Uint8Array, text?: Record<string, string>}} image
 *   palette: colours (three bytes each) of one channel's numbers; text: Latin-1 entries
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function encodePng({ width, height, data, channels, palette, text }) {
  if (data.length !== width * height * channels) throw new RangeError(`${data.length} bytes are not ${width} x ${height} x ${channels}`);
  const row = width * channels;
  const raw = new Uint8Array(height * (row + 1)); // filter 0 before each row: numbers compress well without one
  for (let y = 0; y < height; y++) raw.set(data.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, palette ? 3 : channels === 3 ? 2 : 0, 0, 0, 0], 8);
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", head)];
  if (palette) parts.push(chunk("PLTE", palette));
  for (const [key, value] of Object.entries(text ?? {})) parts.push(chunk("tEXt", latin(`${key}\0${value}`)));
  parts.push(chunk("IDAT", await deflated(raw)), chunk("IEND", new Uint8Array(0)));
  return joined(parts);
}

/**
 * Reads PNGs of 8 bits without interlacing; throws a RangeError with a sentence for others.
 * @param {Uint8Array} bytes @param {number} [most] pixels that are taken
 * @returns {Promise<{width: number, height: number, channels: number, data: Uint8Array}>} data: samples as stored (palette: numbers)
 */
export async function decodePng(bytes, most = 2 ** 27) {
  if (bytes.length < 33 || SIGNATURE.some((value, i) => bytes[i] !== value)) throw new RangeError("these bytes are no PNG");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const channels = CHANNELS[bytes[25]];
  if (bytes[24] !== 8 || bytes[28] !== 0 || !channels) throw new RangeError("this PNG is not of 8 bits without interlacing");
  if (width * height > most) throw new RangeError(`it has ${width} x ${height} pixels, more than ${most}`);
  const pieces = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + size > bytes.length) throw new RangeError("this PNG is cut off");
    if (name === "IDAT") pieces.push(bytes.subarray(at + 8, at + 8 + size));
    if (name === "IEND") break;
    at += 12 + size;
  }
  const raw = await inflated(joined(pieces), height * (width * channels + 1));
  return { width, height, channels, data: unfiltered(raw, width * channels, height, channels) };
}

/** @param {Uint8Array} raw @param {number} row bytes of a row @param {number} height @param {number} step bytes of a pixel */
function unfiltered(raw, row, height, step) {
  const out = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (row + 1)];
    for (let x = 0; x < row; x++) {
      const left = x >= step ? out[y * row + x - step] : 0;
      const up = y ? out[(y - 1) * row + x] : 0;
      const corner = y && x >= step ? out[(y - 1) * row + x - step] : 0;
      out[y * row + x] = raw[y * (row + 1) + 1 + x] + predicted(filter, left, up, corner);
    }
  }
  return out;
}

/** @param {number} filter @param {number} left @param {number} up @param {number} corner */
function predicted(filter, left, up, corner) {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  if (filter !== 4) throw new RangeError("this PNG has an unknown filter");
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {number} size of what comes out @returns {Promise<Uint8Array>} */
async function inflated(bytes, size) {
  const out = new Uint8Array(size);
  let at = 0;
  try {
    for await (const part of read(piped(bytes, new DecompressionStream("deflate")))) {
      if (at + part.length > size) throw new RangeError("this PNG holds more than its size says");
      out.set(part, at);
      at += part.length;
    }
  } catch (error) {
    throw error instanceof RangeError ? error : new RangeError("this PNG is damaged");
  }
  if (at !== size) throw new RangeError("this PNG is cut off");
  return out;
}

/** A zlib stream. @param {Uint8Array<ArrayBuffer>} bytes @returns {Promise<Uint8Array>} */
async function deflated(bytes) {
  if (typeof CompressionStream === "undefined") return stored(bytes);
  const parts = [];
  for await (const part of read(piped(bytes, new CompressionStream("deflate")))) parts.push(part);
  return joined(parts);
}

/** The form of zlib that does not compress, for browsers without streams that do. @param {Uint8Array} bytes */
export function stored(bytes) {
  /** @type {Uint8Array[]} */
  const parts = [Uint8Array.of(0x78, 0x01)];
  for (let at = 0; at === 0 || at < bytes.length; at += 65535) {
    const piece = bytes.subarray(at, at + 65535);
    const last = at + 65535 >= bytes.length ? 1 : 0;
    parts.push(Uint8Array.of(last, piece.length & 255, piece.length >> 8, ~piece.length & 255, (~piece.length >> 8) & 255), piece);
  }
  let [a, b] = [1, 0];
  for (const value of bytes) [a, b] = [(a + value) % 65521, (a + value + b) % 65521];
  parts.push(Uint8Array.of(b >> 8, b & 255, a >> 8, a & 255));
  return joined(parts);
}

/** @param {Uint8Array<ArrayBuffer>} bytes @param {CompressionStream | DecompressionStream} stream @returns {ReadableStream<Uint8Array>} */
const piped = (bytes, stream) => new Blob([bytes]).stream().pipeThrough(/** @type {any} */ (stream));

/** @param {ReadableStream<Uint8Array>} stream */
async function* read(stream) {
  const reader = stream.getReader(); // `for await` over a stream is younger in browsers than the streams
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** @param {string} name @param {Uint8Array} body */
function chunk(name, body) {
  const out = new Uint8Array(12 + body.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length);
  out.set(latin(name), 4);
  out.set(body, 8);
  view.setUint32(8 + body.length, crc(out.subarray(4, 8 + body.length)));
  return out;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/** @param {string} text */
const latin = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 255);

/** @param {Uint8Array[]} parts @returns {Uint8Array<ArrayBuffer>} */
function joined(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
