/** Tabs of this page: each has a session of its own, and says so when another is open. */

const SESSION = "zoo-session";
const WAIT = 250;

const random = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export class Tabs {
  /** @param {() => void} another called when another tab opens */
  constructor(another) {
    this.own = random(); // names this very document: a duplicated tab shares its session's name
    this.session = sessionStorage.getItem(SESSION) ?? "";
    /** @type {Map<string, string>} documents and their sessions */
    this.others = new Map();
    this.channel = new BroadcastChannel("zoo-editor");
    this.channel.onmessage = ({ data }) => {
      if (data.kind === "bye") this.others.delete(data.own);
      else this.others.set(data.own, data.session);
      if (data.kind === "hello") {
        this.send("here");
        another();
      }
    };
    addEventListener("pagehide", () => this.send("bye"));
    addEventListener("pageshow", (event) => { if (event.persisted) this.send("here"); });
  }

  /** Asks who is there. @returns {Promise<void>} */
  async meet() {
    this.send("hello");
    await new Promise((done) => setTimeout(done, WAIT));
  }

  /** Sessions that other tabs have open. */
  get open() {
    return [...this.others.values()];
  }

  /** @param {string} session */
  take(session = random()) {
    this.session = session;
    sessionStorage.setItem(SESSION, session);
    this.send("here");
    return session;
  }

  /** @param {"hello" | "here" | "bye"} kind */
  send(kind) {
    this.channel.postMessage({ kind, own: this.own, session: this.session });
  }
}
