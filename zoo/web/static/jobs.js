/** What the engine is asked for: pictures, layouts, maps of photos; the lost connection and its return. */

import { specOf } from "./core/looks.js";
import { jobOptions } from "./core/options.js";
import { EngineError } from "./engine/errors.js";
import { STRIP } from "./editor.js";
import { say } from "./view/dom.js";

/** @typedef {import("./editor.js").Editor} Editor @typedef {import("./core/types.js").Job} Job */

/** Seconds between tries to reach the server again. */
const FIRST_TRY = 2;
const LONGEST_TRY = 10;

export class Jobs {
  /** @param {Editor} editor */
  constructor(editor) {
    this.editor = editor;
    /** @type {AbortController | null} */
    this.rendering = null;
    /** @type {AbortController | null} */
    this.proposing = null;
    this.retrying = false;
    this.snapshots = 0;
    /** What the last picture failed with: it goes when one comes. */
    this.complaint = "";
  }

  /** The picture anew, if live ones are wanted. A newer one cancels the older. @param {string} text what was done */
  refresh(text) {
    if (this.editor.state.live) void this.render(text);
    else this.rendering?.abort();
  }

  /** @param {string} [text] */
  async render(text = "painted") {
    const { editor } = this;
    this.rendering?.abort();
    const model = editor.synthesizer;
    if (!model) return;
    const { map, look } = editor.state;
    const job = this.pictureJob(model);
    const control = (this.rendering = new AbortController());
    const started = performance.now();
    const result = await this.run(job, "Painting the picture", control, true);
    if (!result || control.signal.aborted) return;
    if (this.complaint && editor.state.problem === this.complaint) editor.set({ problem: "" });
    const picture = { blob: result.image, width: result.width, height: result.height, seconds: result.seconds, digest: result.digest, synthesizer: model.id };
    editor.set({
      picture, before: editor.state.picture ?? editor.state.before, stale: editor.state.map !== map || editor.state.look !== look,
      seconds: (performance.now() - started) / 1000,
    });
    this.snapshot(text, picture, map, look);
    if (result.notes?.length) editor.tell(result.notes);
    say("The picture is up to date.");
  }

  /** @param {import("./core/types.js").Model} model @returns {import("./core/types.js").RenderJob} */
  pictureJob(model) {
    const { map, look } = this.editor.state;
    return { kind: "render", synthesizer: model.id, map, style: specOf(look, model), seed: look.noise, ...(look.keep?.classes.length ? { keep: look.keep } : {}), ...jobOptions(look.options?.[model.id], model) };
  }

  /** The picture of a project: made without what is left of earlier strokes, so that a replay finds equal bytes. @returns {Promise<Blob | null>} */
  async forProject() {
    const { state, synthesizer } = this.editor;
    const shown = state.stale ? null : (state.picture?.blob ?? null);
    if (!synthesizer || state.lost || synthesizer.slow) return shown;
    const result = await this.run({ ...this.pictureJob(synthesizer), fresh: true }, "Painting the project's picture", new AbortController(), true);
    return result?.image ?? null;
  }

  /** @param {string} text @param {import("./core/types.js").Picture} picture @param {import("./core/types.js").LabelMap} map @param {import("./core/types.js").Look} look */
  snapshot(text, picture, map, look) {
    const { strip } = this.editor.state;
    const last = strip[strip.length - 1];
    if (last && last.map === map && last.look === look && last.synthesizer === picture.synthesizer) return;
    this.snapshots = Math.max(this.snapshots, ...strip.map((one) => one.id)) + 1;
    this.editor.set({ strip: [...strip.slice(1 - STRIP), { id: this.snapshots, map, look, picture, synthesizer: picture.synthesizer, text }] });
  }

  /** Proposals for a layout. @param {import("./core/types.js").GenerateJob | import("./core/types.js").EditJob} job @param {string} text */
  async propose(job, text) {
    this.rendering?.abort();
    this.proposing?.abort();
    const control = (this.proposing = new AbortController());
    const result = await this.run(job, text, control);
    if (!result || control.signal.aborted) return;
    const { map, other, ...rest } = /** @type {any} */ (job);
    this.editor.set({ proposals: result.maps.map((/** @type {any} */ one, /** @type {number} */ i) => ({ map: one, text: `${text} ${i + 1}`, step: { ...rest, chosen: i } })) });
    this.editor.tell(result.notes ?? []);
    say(`${result.maps.length} proposals.`);
  }

  /** The map of a photo. @param {string} photo @param {import("./core/types.js").Frame | undefined} frame */
  async parse(photo, frame) {
    const { parser, map } = this.editor.state;
    const joins = this.editor.model("parsers", parser)?.joins[map.space] === null;
    return this.run({ kind: "parse", photo, ...(joins ? { space: map.space } : {}), ...(parser ? { parser } : {}), ...(frame ? { frame } : {}) }, "Reading the photo");
  }

  /**
   * A job with its progress shown; null where it failed (and said so) or was cancelled.
   * @param {Job} job @param {string} text @param {AbortController} [control] @param {boolean} [picture]
   */
  async run(job, text, control = new AbortController(), picture = false) {
    const { editor } = this;
    const stop = () => control.abort();
    const busy = { text, done: 0, total: 0, stop, picture };
    editor.set({ busy });
    try {
      return await editor.engine.run(job, {
        signal: control.signal,
        onProgress: (done, total, words) => { if (!control.signal.aborted) editor.set({ busy: { ...busy, done, total, text: words || text } }); },
      });
    } catch (error) {
      if (!control.signal.aborted) this.failed(error, picture);
      return null;
    } finally {
      if (editor.state.busy?.stop === stop) editor.set({ busy: null });
    }
  }

  /** @param {unknown} error @param {boolean} [picture] it was one that failed */
  failed(error, picture = false) {
    if (error instanceof EngineError && error.cancelled) return;
    if (error instanceof EngineError && error.lost) void this.reconnect();
    else {
      const problem = error instanceof EngineError ? error.message : `Something unexpected went wrong in the page: ${error}`;
      this.editor.set({ problem });
      if (!picture) return;
      this.complaint = problem;
      // a full queue: the same again, unless something newer was asked for
      const { rendering } = this;
      if (error instanceof EngineError && error.retry) setTimeout(() => { if (this.rendering === rendering && this.editor.state.stale) this.refresh("painted"); }, 3000);
    }
  }

  /** Asks for the facts until the server answers; then the picture again. */
  async reconnect() {
    const { editor } = this;
    if (this.retrying) return;
    this.retrying = true;
    editor.set({ lost: true, problem: "There is no connection to the server. Your work is safe in this browser; the page tries again by itself." });
    for (let wait = FIRST_TRY; ; wait = Math.min(wait * 1.5, LONGEST_TRY)) {
      await new Promise((done) => setTimeout(done, wait * 1000));
      try {
        await editor.engine.open();
        break;
      } catch (error) {
        if (error instanceof EngineError && error.lost) continue;
        this.retrying = false;
        editor.set({ lost: false });
        this.failed(error);
        return;
      }
    }
    this.retrying = false;
    editor.set({ lost: false, problem: "" });
    say("The server is back.");
    if (editor.state.stale) this.refresh("painted");
  }
}
