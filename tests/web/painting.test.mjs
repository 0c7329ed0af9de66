// The page's painting, undo and zoom (zoo/web/static/core), under `node --test`; tests/test_ui_page_core.py calls this.
import assert from "node:assert/strict";
import test from "node:test";

import { colored, paletteBytes } from "../../zoo/web/static/core/colours.js";
import { isMiddle, matrix, middle, moved, scaled, turned } from "../../zoo/web/static/core/frames.js";
import { difference, emptyHistory, mapStep, walk, withStep } from "../../zoo/web/static/core/history.js";
import { drawPath } from "../../zoo/web/static/core/lines.js";
import { countClasses, createMap, mapFault, namesIn, presentClasses, resizeMap, sameMap, shareText } from "../../zoo/web/static/core/maps.js";
import { drawPolygon, drawRectangle, fill, pick } from "../../zoo/web/static/core/shapes.js";
import { fitted, panned, toPixel, toScreen, zoomed } from "../../zoo/web/static/core/views.js";

/** A map of digits, one string a row. */
const drawn = (rows) => ({ width: rows[0].length, height: rows.length, space: "s", labels: Uint8Array.from(rows.join("")) });
const rows = (map) => Array.from({ length: map.height }, (_, y) => map.labels.slice(y * map.width, (y + 1) * map.width).join(""));

test("a click paints one pixel at size 1, a dot beyond", () => {
  const map = createMap(5, 5, "s", 0);
  drawPath(map, [[1, 1]], 1, 2);
  assert.deepEqual(rows(map), ["00000", "02000", "00000", "00000", "00000"]);
  drawPath(map, [[2, 2]], 2, 3);
  assert.deepEqual(rows(map), ["00000", "02300", "03330", "00300", "00000"]);
});

test("strokes that leave the map are cut, not refused", () => {
  const map = createMap(4, 3, "s", 0);
  drawPath(map, [[-5, 1], [9, 1]], 1, 1);
  assert.deepEqual(rows(map), ["0000", "1111", "0000"]);
  drawPath(map, [[-50, -50], [-60, -50]], 9, 1);
  assert.deepEqual(rows(map), ["0000", "1111", "0000"]);
});

test("rectangles take both corners in any order and are cut at the border", () => {
  const map = createMap(5, 4, "s", 0);
  drawRectangle(map, [3, 2], [1, 1], 4);
  assert.deepEqual(rows(map), ["00000", "04440", "04440", "00000"]);
  drawRectangle(map, [-3, 3], [99, 99], 5);
  assert.deepEqual(rows(map), ["00000", "04440", "04440", "55555"]);
});

test("polygons are filled by the even-odd rule, with their border", () => {
  const map = createMap(7, 5, "s", 0);
  drawPolygon(map, [[0, 0], [6, 0], [6, 4], [0, 4]], 1);
  assert.equal(countClasses(map.labels, 2)[1], 35);
  const triangle = createMap(7, 4, "s", 0);
  drawPolygon(triangle, [[0, 0], [6, 0], [3, 3]], 1);
  assert.deepEqual(rows(triangle), ["1111111", "0111110", "0011100", "0001000"]);
  const point = createMap(3, 3, "s", 0);
  drawPolygon(point, [[1, 1]], 1);
  assert.deepEqual(rows(point), ["000", "010", "000"]);
  const bow = createMap(9, 9, "s", 0);
  drawPolygon(bow, [[0, 0], [8, 8], [8, 0], [0, 8]], 1);
  assert.equal(pick(bow, [4, 0]), 0); // outside of the bow tie
  assert.equal(pick(bow, [1, 4]), 1);
});

test("fill takes the connected region only, by edges, not corners; or a class everywhere", () => {
  const map = drawn(["0100", "1000", "0110", "0001"]);
  fill(map, [0, 0], 5);
  assert.deepEqual(rows(map), ["5100", "1000", "0110", "0001"]);
  fill(map, [3, 0], 6);
  assert.deepEqual(rows(map), ["5166", "1666", "0116", "0001"]);
  fill(map, [0, 2], 7, true);
  assert.deepEqual(rows(map), ["5166", "1666", "7116", "7771"]);
  fill(map, [9, 9], 1);
  fill(map, [0, 0], 5);
  assert.equal(pick(map, [0, 0]), 5);
  assert.equal(pick(map, [-1, 0]), null);
});

test("fill equals a plain search on random maps", () => {
  let state = 7;
  const random = (n) => (state = (state * 1103515245 + 12345) % 2147483648) % n;
  for (let round = 0; round < 50; round++) {
    const [w, h] = [1 + random(13), 1 + random(13)];
    const map = { width: w, height: h, space: "s", labels: Uint8Array.from({ length: w * h }, () => random(2)) };
    const at = [random(w), random(h)];
    const expected = map.labels.slice();
    const old = expected[at[1] * w + at[0]];
    const todo = [at];
    while (todo.length) {
      const [x, y] = todo.pop();
      if (x < 0 || y < 0 || x >= w || y >= h || expected[y * w + x] !== old) continue;
      expected[y * w + x] = 9;
      todo.push([x + 1, y], [x - 1, y], [x, y + 1], [x, y - 1]);
    }
    fill(map, at, 9);
    assert.deepEqual(map.labels, expected);
  }
});

test("undo and redo bring every byte back, without a limit", () => {
  const look = { base: { kind: "mean" } };
  let map = createMap(8, 8, "s", 0);
  let history = emptyHistory();
  const maps = [map];
  for (let i = 0; i < 300; i++) {
    const next = { ...map, labels: map.labels.slice() };
    drawPath(next, [[i % 8, (i * 3) % 8], [(i * 5) % 8, i % 8]], 1 + (i % 3), 1 + (i % 7));
    const step = mapStep(map, next, `stroke ${i}`);
    if (!step) continue;
    history = withStep(history, step);
    maps.push((map = next));
  }
  assert.ok(maps.length > 200);
  for (let i = maps.length - 2; i >= 0; i--) {
    ({ history, map } = walk(history, "undo", { map, look }));
    assert.ok(sameMap(map, maps[i]));
  }
  assert.equal(walk(history, "undo", { map, look }), null);
  for (let i = 1; i < maps.length; i++) {
    ({ history, map } = walk(history, "redo", { map, look }));
    assert.ok(sameMap(map, maps[i]));
  }
  assert.equal(walk(history, "redo", { map, look }), null);
  assert.deepEqual(withStep(walk(history, "undo", { map, look }).history, { text: "new" }).redo, []);
});

test("maps of another size or space and looks are steps, too", () => {
  const [a, b] = [createMap(2, 2, "s", 0), createMap(3, 1, "t", 1)];
  assert.equal(difference(a.labels, a.labels.slice()), null);
  const step = mapStep(a, b, "import");
  const back = walk({ undo: [step], redo: [] }, "undo", { map: b, look: 1 });
  assert.ok(sameMap(back.map, a));
  assert.equal(walk({ undo: [{ text: "", looks: { was: 1, now: 2 } }], redo: [] }, "undo", { map: a, look: 2 }).look, 1);
});

test("zoom keeps the place under the pointer, pan keeps the map in sight", () => {
  const view = fitted(128, 64, 640, 480);
  assert.deepEqual(view, { scale: 5, x: 0, y: 80 });
  assert.deepEqual(toPixel(view, 0, 80), [0, 0]);
  assert.deepEqual(toPixel(view, 639, 399), [127, 63]);
  assert.deepEqual(toPixel(view, -1, 79), [-1, -1]);
  const near = zoomed(view, 2, 300, 200);
  assert.deepEqual(toPixel(near, 300, 200), toPixel(view, 300, 200));
  assert.equal(zoomed(view, 1e9, 0, 0).scale, 64);
  const away = panned(view, 1e6, -1e6, { width: 128, height: 64 }, 640, 480);
  assert.ok(away.x < 640 && away.y + 64 * away.scale > 0);
  const [x, y] = toScreen(view, [3, 4]);
  assert.deepEqual(toPixel(view, x, y), [3, 4]);
});

test("colours are those of the palette, hidden classes have none", () => {
  const palette = paletteBytes([{ name: "a", color: "#010203" }, { name: "b", color: "#fffefd" }]);
  assert.deepEqual([...colored(Uint8Array.of(0, 1, 7), palette, new Set([1]))], [1, 2, 3, 255, 255, 254, 253, 0, 255, 0, 255, 255]);
});

test("shares, present classes, faults", () => {
  const map = drawn(["0013", "0013"]);
  const four = { classes: ["a", "b", "c", "d"].map((name) => ({ name, color: "#000000" })), background: 0 };
  assert.deepEqual([...countClasses(map.labels, 4)], [4, 2, 0, 2]);
  assert.deepEqual(presentClasses(map), [0, 1, 3]);
  assert.equal(shareText(1, 8), "12.5 %");
  assert.equal(shareText(1, 10000), "<0.1 %");
  assert.equal(shareText(0, 8), "–");
  assert.equal(mapFault(map, four), null);
  assert.match(mapFault(map, { classes: four.classes.slice(1) }), /class number 3 is beyond the 3 classes/);
  assert.match(mapFault({ ...map, width: 5 }, four), /8 numbers are not 5 x 2/);
  assert.match(mapFault({ ...map, width: 9000, height: 1 }, four), /8192/);
  const open = { width: 1, height: 1, space: "s", labels: Uint8Array.of(255) };
  assert.match(mapFault(open, four), /class number 255/);
  assert.equal(mapFault(open, { ...four, ignore: true }), null);
  assert.deepEqual(namesIn({ ...open, width: 2, labels: Uint8Array.of(255, 3) }, four), ["d"]);
  assert.match(mapFault({ ...map, width: 0.5 }, four), /is none/);
  assert.deepEqual(rows(resizeMap(map, 2, 2)), ["01", "01"].map((r) => r.replace("1", "3")));
});

test("frames: the middle square fills, moving follows the turned square", () => {
  const photo = { width: 200, height: 100 };
  const frame = middle(200, 100);
  assert.deepEqual(frame, { x: 100, y: 50, side: 100, angle: 0 });
  assert.ok(isMiddle(frame, photo) && !isMiddle(turned(frame, 1), photo));
  const apply = ([a, b, c, d, e, f], x, y) => [a * x + c * y + e, b * x + d * y + f].map((v) => Math.round(v * 1e6) / 1e6);
  assert.deepEqual(apply(matrix(frame, 50), 50, 0), [0, 0]);
  assert.deepEqual(apply(matrix(frame, 50), 150, 100), [50, 50]);
  // turned clockwise by 90 degrees, the square's upper left corner is the photo's upper right
  assert.deepEqual(apply(matrix(turned(frame, 90), 50), 150, 0), [0, 0]);
  const right = moved(turned(frame, 90), 0.1, 0, photo);
  assert.ok(Math.abs(right.x - 100) < 1e-9 && Math.abs(right.y - 60) < 1e-9);
  assert.equal(turned(frame, 190).angle, -170);
  assert.equal(scaled(frame, 1e9, photo).side, 400);
  assert.equal(scaled(frame, 0, photo).side, 8);
  assert.equal(moved(frame, 99, 0, photo).x, 200);
});
