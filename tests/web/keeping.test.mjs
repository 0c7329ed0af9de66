// The page's looks, files and commands (zoo/web/static/core) and its talk with the server, under `node --test`.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { deflateSync } from "node:zlib";

import { editText, layoutCommand, photoNames, pictureCommand, quoted } from "../../zoo/web/static/core/commands.js";
import * as looks from "../../zoo/web/static/core/looks.js";
import { createMap, sameMap } from "../../zoo/web/static/core/maps.js";
import { jobOptions, optionsOf, withOption } from "../../zoo/web/static/core/options.js";
import { decodePng, encodePng, stored } from "../../zoo/web/static/core/png.js";
import { fromProject, toProject } from "../../zoo/web/static/core/projects.js";
import { sha256 } from "../../zoo/web/static/core/sha256.js";
import { fromBase64, toBase64 } from "../../zoo/web/static/core/wire.js";
import { ServerEngine } from "../../zoo/web/static/engine/server.js";

const bytes = (n) => Uint8Array.from({ length: n }, (_, i) => (i * 7 + (i >> 5)) & 255);
const space = { classes: ["bg", "skin", "hair"].map((name) => ({ name, color: "#102030" })), background: 0 };
const model = { id: "syn", space: "s", can: ["style:prior", "style:partial", "style:photo"], layers: ["a", "b"], digest: "d", available: true, options: [{ name: "steps", default: "10", choices: [] }, { name: "clip", default: "true", choices: ["true", "false"] }] };
const facts = { version: "9", engine: "server", generators: [], synthesizers: [model], parsers: [], spaces: { s: space }, limits: {} };

test("PNGs come back byte by byte", async () => {
  for (const [channels, palette] of [[1], [3], [1, bytes(768)]]) {
    const data = bytes(17 * 9 * channels);
    const png = await encodePng({ width: 17, height: 9, data, channels, palette, text: { Software: "zoo" } });
    const back = await decodePng(png);
    assert.deepEqual([back.width, back.height, back.channels], [17, 9, channels]);
    assert.deepEqual(back.data, data);
  }
  await assert.rejects(encodePng({ width: 2, height: 2, data: bytes(3), channels: 1 }), /are not 2 x 2/);
});

test("damaged PNGs are refused with a sentence", async () => {
  const png = await encodePng({ width: 30, height: 30, data: bytes(900), channels: 1 });
  await assert.rejects(decodePng(bytes(100)), /no PNG/);
  await assert.rejects(decodePng(png.slice(0, 60)), /cut off|damaged/);
  const wide = png.slice();
  wide[19] = 31;
  await assert.rejects(decodePng(wide), RangeError);
  const deep = png.slice();
  deep[24] = 16;
  await assert.rejects(decodePng(deep), /8 bits/);
});

test("the form without compression is zlib's", async () => {
  const { inflateSync } = await import("node:zlib");
  for (const n of [0, 1, 70000, 131070]) assert.deepEqual(new Uint8Array(inflateSync(stored(bytes(n)))), bytes(n));
  assert.ok(deflateSync(bytes(10)).length > 0);
});

test("sha256 is that of node", () => {
  for (const n of [0, 1, 55, 56, 63, 64, 65, 1000, 49152]) assert.equal(sha256(bytes(n)), createHash("sha256").update(bytes(n)).digest("hex"));
});

test("base64 there and back, and refusals", () => {
  assert.deepEqual(fromBase64(toBase64(bytes(20001))), bytes(20001));
  assert.throws(() => fromBase64("§"), RangeError);
});

test("a locked class keeps its source when the rest is rolled", () => {
  let look = looks.plainLook(5);
  look = looks.locked(look, "hair");
  look = looks.rolled(looks.withClass(look, "skin", { kind: "seed", seed: 8 }), 6);
  assert.deepEqual(looks.sourceOf(look, "hair"), { kind: "seed", seed: 5 });
  assert.deepEqual(looks.sourceOf(look, "skin"), { kind: "seed", seed: 6 });
  assert.ok(looks.isLocked(look, "hair"));
  assert.ok(!looks.isLocked(looks.unlocked(look, "hair"), "hair"));
  look = looks.withClass(look, "hair", { kind: "seed", seed: 9 });
  assert.deepEqual(look.parts, [{ labels: ["hair"], layers: null, source: { kind: "seed", seed: 9 }, locked: true }]);
});

test("what is asked of a synthesizer: locked parts last, layers that it has, no mix of nothing", () => {
  const look = {
    ...looks.plainLook(1),
    parts: [
      { labels: ["hair"], layers: null, source: { kind: "seed", seed: 2 }, locked: true },
      { labels: null, layers: ["b"], source: { kind: "mean" } },
      { labels: ["skin"], layers: ["zz"], source: { kind: "mean" } },
    ],
    mix: { source: { kind: "mean" }, amount: 0 },
  };
  const spec = looks.specOf(look, model);
  assert.deepEqual(spec.parts.map((part) => [part.labels, part.locked]), [[null, undefined], [["hair"], true]]);
  assert.equal(spec.mix, null);
  assert.deepEqual(looks.specOf(look, { ...model, can: [] }).parts, []);
  assert.match(looks.lacking("mean", model), /syn has no mean style/);
  assert.equal(looks.lacking("photo", model), null);
  assert.match(looks.firstLack({ ...look, parts: look.parts.slice(1) }, model), /^a layer: syn has no mean style/);
  assert.match(looks.firstLack({ ...look, parts: [], mix: { source: { kind: "mean" }, amount: 0.5 } }, model), /^mix: /);
  assert.equal(looks.firstLack({ ...look, parts: look.parts.slice(0, 1) }, model), null);
});

test("looks are compared by what they say, and maps by being the same", () => {
  const map = createMap(2, 2, "s", 0);
  const of = (one) => ({ ...looks.plainLook(1), base: { kind: "photo", photo: "p", map: one } });
  assert.ok(looks.sameLook(of(map), of({ ...map })));
  assert.ok(!looks.sameLook(of(map), of(createMap(2, 2, "s", 0))));
  assert.ok(!looks.sameLook(of(map), looks.plainLook(1)));
});

test("classes without a style of their own are not asked for", () => {
  const look = { ...looks.plainLook(1), parts: [{ labels: ["hair", "bg"], layers: null, source: { kind: "mean" } }, { labels: ["bg"], layers: null, source: { kind: "mean" } }] };
  assert.deepEqual(looks.specOf(look, { ...model, styleClasses: ["hair", "skin"] }).parts.map((part) => part.labels), [["hair"]]);
});

test("a photo that goes leaves a look that is whole", () => {
  const photo = { kind: "photo", photo: "p" };
  const look = { base: photo, parts: [{ labels: ["hair"], layers: null, source: photo }], mix: { source: photo, amount: 0.5 }, keep: { photo: "q", classes: ["skin"] }, noise: 0 };
  assert.deepEqual(looks.photosOf(look), ["p", "q"]);
  assert.deepEqual(looks.photosOf(looks.withoutPhoto(look, "p", 3)), ["q"]);
  assert.equal(looks.withoutPhoto(look, "q", 3).keep, null);
});

test("command lines say it all, quoted for a shell", () => {
  assert.equal(quoted("it's"), `'it'\\''s'`);
  const photo = { id: "p", name: "my face.jpg", width: 10, height: 10, frame: null, map: createMap(2, 2, "s", 0), blob: null };
  const look = {
    base: { kind: "photo", photo: "p" },
    parts: [{ labels: ["hair"], layers: ["b"], source: { kind: "seed", seed: 3 } }],
    mix: { source: { kind: "seed", seed: 4 }, amount: 0.35 },
    keep: null,
    noise: 7,
  };
  const command = pictureCommand({ look, model, mapSpace: "t", generator: "gen", photos: { p: photo }, space });
  assert.deepEqual(command.lines, [
    "zoo synth syn map.png --mask-space t --trust-maps --style my-face.jpg::my-face-map.png --style hair@2=seed:3 --style-to seed:4 -n 21 --seed 7 --out picture",
  ]);
  assert.match(command.notes[0], /000007 of the 21/);
  assert.deepEqual(command.files.map((file) => file.name), ["map.png", "my-face.jpg", "my-face-map.png"]);
  const kept = pictureCommand({ look: { ...look, mix: null, parts: [], keep: { photo: "p", classes: ["skin", "hair"] } }, model, mapSpace: "s", generator: "gen", photos: { p: { ...photo, frame: { x: 1, y: 2, side: 3, angle: 4 } } }, space });
  assert.match(kept.lines[0], /^zoo compose gen\+syn --photo my-face-framed.png --mask map.png --keep skin,hair --trust-maps --style my-face-framed.png::my-face-map.png --seed/);
  assert.equal(layoutCommand({ kind: "generate", generator: "gen", labels: ["a", "b"], seed: 1, n: 4, prior: "normal" }), "zoo generate gen --labels a,b --prior normal -n 4 --seed 1 --out layouts");
  const edits = [{ kind: "perturb", labels: ["a"], strength: 0.5 }, { kind: "interpolate", labels: ["b"], amount: 0.25 }, { kind: "add", labels: ["c", "d"] }];
  assert.deepEqual(edits.map(editText), ["perturb:a=0.5", "interpolate:b=other.png@0.25", "add:c,d"]);
  assert.deepEqual(Object.values(photoNames([{ id: "1", name: "map.png" }, { id: "2", name: "map.png" }, { id: "3", name: "../../é" }])), ["map-2.png", "map-3.png", "é.png"]);
});

test("options: the model's own, those that are not the default, as text", () => {
  assert.deepEqual(optionsOf({ clip: "false", steps: "10", odd: "1" }, model), { clip: "false" });
  assert.deepEqual(optionsOf({ clip: "false" }, { ...model, options: undefined }), {});
  assert.deepEqual(withOption({ clip: "false" }, model, "steps", " 25 "), { clip: "false", steps: "25" });
  assert.deepEqual(withOption({ clip: "false" }, model, "clip", "true"), {});
  assert.deepEqual(withOption({ steps: "25" }, model, "steps", ""), {});
  assert.deepEqual([jobOptions({ steps: "25" }, model), jobOptions({}, model), jobOptions(undefined, model)], [{ options: { steps: "25" } }, {}, {}]);
  const look = { ...looks.plainLook(1), options: { syn: { steps: "25", clip: "true" }, other: { steps: "3" } } };
  assert.match(pictureCommand({ look, model, mapSpace: "s", generator: "gen", photos: {}, space }).lines[0], / --opt steps=25 --seed 0 /);
  assert.match(layoutCommand({ kind: "generate", generator: "gen", labels: null, seed: 1, n: 1, options: { rule: "a b" } }), / --opt 'rule=a b' -n 1 /);
});

const work = () => ({
  map: { width: 3, height: 2, space: "s", labels: Uint8Array.of(0, 1, 2, 2, 1, 0) },
  look: { ...looks.plainLook(4), base: { kind: "photo", photo: "p" }, keep: { photo: "p", classes: ["hair"] } },
  photos: { p: { id: "p", blob: new Blob([bytes(50)]), name: "me.png", width: 5, height: 5, frame: { x: 1, y: 2, side: 3, angle: 4 }, map: createMap(2, 2, "s", 1) } },
  generator: "", synthesizer: "syn", parser: "", steps: [{ kind: "generate" }], picture: null, styled: { base: { kind: "mean" }, parts: [], mix: null },
});

test("a project comes back whole", async () => {
  const text = JSON.stringify(await toProject(work(), facts));
  const back = await fromProject(text, facts);
  const first = work();
  assert.ok(sameMap(back.map, first.map));
  assert.deepEqual(back.look, first.look);
  assert.deepEqual(back.photos[0].bytes, bytes(50));
  assert.deepEqual(back.photos[0].frame, first.photos.p.frame);
  assert.ok(sameMap(back.photos[0].map, first.photos.p.map));
  assert.deepEqual(back.notes, []);
  const value = JSON.parse(text);
  assert.deepEqual(value.digests, { syn: "d" });
  const map = await decodePng(fromBase64(value.map.labels));
  assert.deepEqual([...map.data], [0, 1, 2, 2, 1, 0]);
});

test("the digest of a picture is that of its RGB bytes", async () => {
  const data = bytes(4 * 4 * 3);
  const picture = new Blob([await encodePng({ width: 4, height: 4, data, channels: 3 })]);
  const value = await toProject({ ...work(), picture }, facts);
  assert.equal(value.picture.sha256, sha256(data));
});

test("wrong projects are refused with a sentence, other models are told", async () => {
  const good = await toProject(work(), facts);
  const reading = (change) => fromProject(JSON.stringify({ ...structuredClone(good), ...change }), facts);
  await assert.rejects(fromProject("{", facts), /not JSON/);
  await assert.rejects(fromProject("[]", facts), /no project/);
  await assert.rejects(reading({ version: 2 }), /version 2/);
  await assert.rejects(reading({ space: "moon" }), /label space moon/);
  await assert.rejects(reading({ map: { ...good.map, width: 4 } }), /damaged: 6 numbers are not 4 x 2/);
  await assert.rejects(reading({ map: { ...good.map, labels: "§" } }), /damaged/);
  await assert.rejects(reading({ map: null }), /damaged/);
  const beyond = await encodePng({ width: 3, height: 2, data: Uint8Array.of(0, 0, 0, 0, 0, 9), channels: 1 });
  await assert.rejects(reading({ map: { ...good.map, labels: toBase64(beyond) } }), /class number 9/);
  await assert.rejects(reading({ photos: {} }), /does not hold/);
  await assert.rejects(reading({ page: { ...good.page, look: { base: { kind: "x" }, parts: [] } } }), /style in this project is damaged/);
  await assert.rejects(reading({ page: { ...good.page, look: { ...good.page.look, parts: [{ labels: ["moon"], source: { kind: "mean" } }] } } }), /lacks/);
  assert.match((await reading({ digests: { syn: "other" } })).notes[0], /other weights/);
  assert.match((await reading({ digests: { gone: "x" } })).notes[0], /not here/);
  const optional = await toProject({ ...work(), look: { ...work().look, options: { syn: { steps: "25" } } } }, facts);
  assert.deepEqual(optional.options, { steps: "25" });
  const back = (synthesizers, change = {}) => fromProject(JSON.stringify({ ...optional, ...change }), { ...facts, synthesizers });
  assert.deepEqual([(await back([model])).look.options, (await back([model])).notes], [{ syn: { steps: "25" } }, []]);
  assert.deepEqual((await back([model], { page: null })).look.options, { syn: { steps: "25" } });
  assert.match((await back([{ ...model, options: [] }])).notes[0], /no option steps/);
});

/** A server that answers from a list. */
const served = (answers, calls = []) =>
  new ServerEngine("tab", "secret", async (path, init) => {
    calls.push([path, init]);
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return new Response(next.body ?? null, { status: next.status ?? 200 });
  });

test("progress, then a result; words cut anywhere", async () => {
  const seen = [];
  const body = new ReadableStream({
    start(to) {
      for (const part of ['{"progress": [1, 4], "te', 'xt": "ä"}\n{"result": {"map": {"width": 1, "height": 1, "space": "s", "labels": "Ag=="}, "notes": []}}\n'])
        to.enqueue(new TextEncoder().encode(part));
      to.close();
    },
  });
  const calls = [];
  const engine = served([{ body }], calls);
  const result = await engine.run({ kind: "parse", photo: "p" }, { onProgress: (...all) => seen.push(all) });
  assert.deepEqual(seen, [[1, 4, "ä"]]);
  assert.deepEqual([...result.map.labels], [2]);
  assert.equal(calls[0][1].headers.Authorization, "Bearer secret");
  assert.equal(calls[0][1].headers["X-Zoo-Session"], "tab");
});

test("a photo that the server forgot is sent again, once", async () => {
  const calls = [];
  const photo = { body: '{"photo": "p", "width": 1, "height": 1, "notes": []}' };
  const engine = served([photo, { status: 410, body: '{"error": "gone", "missing": ["p"]}' }, photo, { body: '{"result": {"image": "AAAA", "notes": []}}\n' }], calls);
  await engine.addPhoto(new Blob([bytes(3)]));
  assert.equal((await engine.run({ kind: "render" })).image.size, 3);
  assert.deepEqual(calls.map(([path]) => path), ["api/photos", "api/run", "api/photos", "api/run"]);
  await assert.rejects(served([{ status: 410, body: '{"missing": ["x"]}' }]).run({ kind: "render" }), /drop it in again/);
});

test("every failure is a sentence, and says whether to try again", async () => {
  const failing = async (answer, expected) => {
    const error = await served([answer]).run({ kind: "render" }).catch((e) => e);
    assert.match(error.message, expected);
    return [error.retry, error.lost, error.token];
  };
  assert.deepEqual(await failing(new TypeError("fetch failed"), /no connection/), [true, true, false]);
  assert.deepEqual(await failing({ body: "" }, /ended before/), [true, true, false]);
  assert.deepEqual(await failing({ body: '{"error": "Too dark."}\n' }, /Too dark/), [false, false, false]);
  assert.deepEqual(await failing({ status: 429, body: '{"error": "The queue is full."}' }, /queue/), [true, false, false]);
  assert.deepEqual(await failing({ status: 401 }, /open the address/), [false, false, true]);
  assert.deepEqual(await failing({ status: 500, body: "<html>" }, /status 500/), [false, false, false]);
});
