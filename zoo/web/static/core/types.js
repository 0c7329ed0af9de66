/**
 * The words of the page, as types. Nothing here runs.
 *
 * @typedef {{width: number, height: number, space: string, labels: Uint8Array}} LabelMap
 *   Row-major class numbers of a label space: the truth of everything that is painted.
 * @typedef {{name: string, color: string}} ClassInfo  color: "#rrggbb"
 * @typedef {{classes: ClassInfo[], background: number, title?: string, ignore?: boolean}} Space
 *   ignore: 255 may stand in its maps, as "unlabeled"
 * @typedef {{
 *   id: string, title: string, kind: string, space: string, resolution: [number, number], can: string[], layers: string[],
 *   priors: string[], labels: string[], digest: string, joins: Record<string, string | null>, available: boolean,
 *   reason: string | null, slow: boolean, default?: boolean, styleClasses?: string[], options?: {name: string, default: string, choices: string[]}[]
 * }} Model
 * @typedef {Record<string, string>} Options  sampling options of a model as text, those that are not the default
 * @typedef {{
 *   version: string, engine: "server" | "static", generators: Model[], synthesizers: Model[], parsers: Model[],
 *   spaces: Record<string, Space>, limits: {uploadBytes: number, pixels: number, mapPixels?: number, samples?: number}
 * }} Facts
 *
 * @typedef {{x: number, y: number, side: number, angle: number}} Frame
 *   A square in a photo: its centre and side in pixels of the photo, turned clockwise by degrees.
 * @typedef {{kind: "seed", seed: number}} SeedSource
 * @typedef {{kind: "mean"}} MeanSource
 * @typedef {{kind: "photo", photo: string, frame?: Frame, map?: LabelMap}} PhotoSource
 * @typedef {SeedSource | MeanSource | PhotoSource} Source
 * @typedef {{labels: string[] | null, layers: string[] | null, source: Source, locked?: boolean}} Part
 *   A locked part is applied after the mix, so that nothing moves it.
 * @typedef {{base: Source, parts: Part[], mix: null | {source: Source, amount: number}}} StyleSpec
 * @typedef {{photo: string, frame?: Frame, map?: LabelMap, classes: string[]}} Keep
 * @typedef {{base: Source, parts: Part[], mix: null | {source: Source, amount: number}, keep: Keep | null, noise: number, options?: Record<string, Options>}} Look
 *   All that decides a picture beside the map. noise: the seed of what the synthesizer draws while it works. options: by synthesizer.
 *
 * @typedef {{kind: "add" | "remove" | "redraw" | "perturb" | "interpolate", labels: string[], strength?: number, amount?: number}} Edit
 * @typedef {{kind: "generate", generator: string, labels: string[] | null, seed: number, n: number, prior?: string, space?: string, options?: Options}} GenerateJob
 * @typedef {{
 *   kind: "edit", generator: string, map: LabelMap, edits: Edit[], other?: LabelMap, seed: number, n: number, keepRest: boolean, options?: Options
 * }} EditJob
 * @typedef {{kind: "render", synthesizer: string, map: LabelMap, style: StyleSpec, seed: number, keep?: Keep, fresh?: boolean, options?: Options}} RenderJob
 *   fresh: nothing of the stroke before is reused
 * @typedef {{kind: "parse", parser?: string, photo: string, frame?: Frame, space?: string}} ParseJob
 * @typedef {GenerateJob | EditJob | RenderJob | ParseJob} Job
 * @typedef {{maps: LabelMap[], notes: string[]}} MapsResult
 * @typedef {{map: LabelMap, notes: string[], readings?: string[]}} MapResult
 *   readings: label spaces in which a file can be read
 * @typedef {{image: Blob, width: number, height: number, seconds: number, notes: string[], digest: string}} PictureResult
 * @typedef {{onProgress?: (done: number, total: number, text: string) => void, signal?: AbortSignal}} RunOptions
 * @typedef {{
 *   open(): Promise<Facts>,
 *   addPhoto(blob: Blob): Promise<{photo: string, width: number, height: number, notes: string[]}>,
 *   addMap(blob: Blob, name: string, read?: string): Promise<MapResult>,
 *   run(job: Job, options?: RunOptions): Promise<any>
 * }} Engine
 *
 * @typedef {{id: string, blob: Blob, name: string, width: number, height: number, frame: Frame | null, map: LabelMap | null}} Photo
 * @typedef {{blob: Blob, width: number, height: number, seconds: number, digest: string, synthesizer: string}} Picture
 * @typedef {{id: number, map: LabelMap, look: Look, synthesizer: string, picture: Picture | null, text: string}} Snapshot
 *
 * @typedef {{runs: Uint32Array, was: Uint8Array, now: Uint8Array}} Patch
 *   Runs of changed pixels (start, length, …), their values before and after, one after the other.
 * @typedef {{text: string, patch?: Patch, maps?: {was: LabelMap, now: LabelMap}, looks?: {was: Look, now: Look}, removed?: string}} Step
 *   removed: the id of a photo that the step takes away
 * @typedef {{undo: Step[], redo: Step[]}} History
 * @typedef {{scale: number, x: number, y: number}} View  screen = map * scale + (x, y)
 * @typedef {[number, number]} Point  x, y
 */

export {};
