/** The engine without a server: exported models, run where this code runs (a worker of the page, or node in tests). */

import { EngineError } from "../errors.js";
import { readMap } from "./imports.js";
import { edit, generate } from "./layouts.js";
import { Models } from "./models.js";
import { parse, Photos } from "./photos.js";
import { render } from "./pictures.js";

/** @typedef {import("../../core/types.js").Job} Job @typedef {import("../../core/types.js").RunOptions} RunOptions */

export class StaticEngine {
  /**
   * @param {import("./models.js").Site} site what the build wrote @param {import("./models.js").Fetch} fetch
   * @param {import("./models.js").Runtime} runtime @param {(blob: Blob) => Promise<import("./photos.js").Pixels>} decode
   */
  constructor(site, fetch, runtime, decode) {
    this.site = site;
    this.models = new Models(site, fetch, runtime);
    this.photos = new Photos(decode, site.facts.limits);
  }

  async open() {
    return this.site.facts;
  }

  /** @param {Blob} blob */
  async addPhoto(blob) {
    return this.photos.add(blob);
  }

  /** @param {Blob} blob @param {string} name @param {string} [read] */
  async addMap(blob, name, read) {
    return readMap(this.site.facts, blob, name, read);
  }

  /** @param {Job} job @param {RunOptions} [options] @returns {Promise<any>} */
  async run(job, { onProgress, signal } = {}) {
    const work = {
      /** @param {number} done @param {number} total @param {string} text */
      async done(done, total, text) {
        onProgress?.(done, total, text);
        await new Promise((resolve) => setTimeout(resolve, 0)); // a newer job may have come
        if (signal?.aborted) throw new DOMException("cancelled", "AbortError");
      },
    };
    if (job.kind === "generate") return generate(this.models, job, work);
    if (job.kind === "edit") return edit(this.models, job, work);
    if (job.kind === "render") return render(this.models, this.photos, job, work);
    if (job.kind === "parse") return parse(this.models, this.photos, job);
    throw new EngineError("There is no such job.");
  }
}
