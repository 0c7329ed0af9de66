/** The work in the browser's own storage, after every stroke: what a crash of the page, the server or the machine leaves. */

/** @typedef {{session: string, saved: number, map: any, thumb?: any, [key: string]: any}} WorkRecord */

const NAME = "zoo-editor";
/** Works that are kept; the oldest go first. */
export const WORKS = 12;

export class Storage {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
    database.onversionchange = () => database.close(); // a newer page must not wait for this one
  }

  /** Null where the browser has none (private windows of some). @returns {Promise<Storage | null>} */
  static async open() {
    try {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("work", { keyPath: "session" });
        request.result.createObjectStore("photos", { keyPath: ["session", "id"] });
        request.result.createObjectStore("strip", { keyPath: ["session", "id"] });
      };
      return new Storage(await Promise.race([done(request), late()]));
    } catch {
      return null;
    }
  }

  /** @param {WorkRecord} record */
  saveWork(record) {
    return this.write("work", (store) => store.put(record));
  }

  /** @param {"photos" | "strip"} kind @param {string} session @param {any[]} records with ids @param {any[]} gone ids */
  saveParts(kind, session, records, gone = []) {
    return this.write(kind, (store) => {
      for (const record of records) store.put({ ...record, session });
      for (const id of gone) store.delete([session, id]);
    });
  }

  /** Newest first. @returns {Promise<WorkRecord[]>} */
  async works() {
    const all = await done(this.database.transaction("work").objectStore("work").getAll());
    return all.sort((a, b) => b.saved - a.saved);
  }

  /** @param {"photos" | "strip"} kind @param {string} session @returns {Promise<any[]>} */
  parts(kind, session) {
    return done(this.database.transaction(kind).objectStore(kind).getAll(IDBKeyRange.bound([session], [session, []])));
  }

  /** @param {string} session */
  async remove(session) {
    await this.write("work", (store) => store.delete(session));
    for (const kind of ["photos", "strip"]) await this.write(kind, (store) => store.delete(IDBKeyRange.bound([session], [session, []])));
  }

  /** The oldest works beyond the limit go, but none that a tab has open. @param {string[]} open sessions */
  async tidy(open) {
    const works = (await this.works()).filter((work) => !open.includes(work.session));
    for (const work of works.slice(WORKS)) await this.remove(work.session);
  }

  /** @param {string} kind @param {(store: IDBObjectStore) => void} change @returns {Promise<void>} */
  write(kind, change) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(kind, "readwrite");
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      change(transaction.objectStore(kind));
    });
  }
}

/** A browser whose storage is stuck has none. @returns {Promise<never>} */
const late = () => new Promise((_, refuse) => setTimeout(() => refuse(new Error("the storage does not answer")), 4000));

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
