/** An error that the page shows as it is. retry: the same request may succeed later (the connection, a full queue). */
export class EngineError extends Error {
  /** @param {string} sentence @param {{retry?: boolean, lost?: boolean, token?: boolean, cancelled?: boolean}} [more] lost: there is no connection */
  constructor(sentence, { retry = false, lost = false, token = false, cancelled = false } = {}) {
    super(sentence);
    this.name = "EngineError";
    this.retry = retry;
    this.lost = lost;
    this.token = token;
    this.cancelled = cancelled;
  }
}
