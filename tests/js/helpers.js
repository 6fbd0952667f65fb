/* Questions, and votes that wait, as the server and the queue write them. */

export const question = (photo, more = {}) => ({ photo, hashtag: 1, name: "cafe", ...more });

export const waitingVote = (requestId, about, { answer = "fits", tries = 1 } = {}) => ({
  id: `id-${requestId}`,
  kind: "vote",
  fields: { request_id: requestId, photo: about.photo, hashtag: about.hashtag, answer },
  about,
  tries,
});

export const waitingUndo = (requestId) => ({
  id: `undo-${requestId}`,
  kind: "undo",
  fields: { request_id: requestId },
  about: null,
  tries: 0,
});

/* Stands in for the browser's storage, which node does not have. room: how many characters it takes. */
export class MemoryStorage {
  items = new Map();
  room = Infinity;

  getItem(name) {
    return this.items.get(name) ?? null;
  }

  setItem(name, text) {
    if (text.length > this.room) throw new Error("QuotaExceededError");
    this.items.set(name, text);
  }

  removeItem(name) {
    this.items.delete(name);
  }
}

/* Lets everything happen that waits for nothing but its turn. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
