/* Votes wait here, in the browser's storage, until the server has acknowledged them. They are sent one by one in
   order, sent again after a failure, and survive a reload. The server recognises each by its request id. */

export class VoteQueue {
  static SLOWEST = 30_000; // ms between two attempts
  static ENOUGH = 5; // attempts before an operation that keeps failing goes behind the others

  /* name: the key in the storage. send(kind, fields): see sendVote in vote_network.js.
     getStorage: a function, because reading localStorage may throw. locks: navigator.locks.
     on: {change, sent, refused, stopped}, called with the operation and the reply; delayed, when sending waits. */
  constructor({ name, send, on, getStorage = () => localStorage, locks = globalThis.navigator?.locks }) {
    // memory: the queue while the storage fails. Otherwise empty, or it would send old votes again.
    Object.assign(this, { name, send, on, getStorage, locks, memory: [] });
    Object.assign(this, { isSending: false, failures: 0, timer: 0 });
  }

  load() {
    return [...this.memory, ...this.loadStored()];
  }

  /* Whether votes are on their way and nothing has failed: their replies come soon. */
  get isSendingVotes() {
    return this.isSending && !this.failures && this.load().some((one) => one.kind === "vote");
  }

  loadStored() {
    try {
      return JSON.parse(this.getStorage().getItem(this.name) ?? "[]");
    } catch {
      return [];
    }
  }

  save(operations) {
    try {
      if (operations.length) this.getStorage().setItem(this.name, JSON.stringify(operations));
      else this.getStorage().removeItem(this.name);
      this.memory = [];
    } catch {
      // The storage is blocked or full. The queue is sent from memory; the stored copy is outdated.
      this.memory = operations;
      try {
        this.getStorage().removeItem(this.name);
      } catch {
        // Then the outdated copy cannot be read either.
      }
    }
    this.on.change(operations);
  }

  /* fields are sent to the server; about is kept with them for the page. */
  add(kind, fields, about = null) {
    this.save([...this.load(), { id: makeRequestId(), kind, fields, about, tries: 0 }]);
    this.flush();
  }

  /* Drops a vote that was never sent, with its reasons. False if the server may have it already. */
  dropUntried(requestId) {
    const operations = this.load();
    const vote = operations.find((one) => one.kind === "vote" && one.fields.request_id === requestId);
    if (!vote || vote.tries) return false;
    this.save(operations.filter((one) => one.fields.request_id !== requestId));
    return true;
  }

  async flush() {
    if (this.isSending) return;
    this.isSending = true;
    clearTimeout(this.timer);
    // Two windows of one person share the queue, and only one of them sends. Older browsers have no locks.
    const drain = (lock) => (lock === null ? this.flushLater(1_000) : this.drain());
    try {
      if (this.locks) await this.locks.request(this.name, { ifAvailable: true }, drain);
      else await this.drain();
    } finally {
      this.isSending = false;
    }
  }

  async drain() {
    for (let first = this.load()[0]; first; first = this.load()[0]) {
      first.tries += 1;
      this.save([first, ...this.load().slice(1)]);
      const { outcome, reply, wait } = await this.send(first.kind, first.fields);
      if (outcome === "stumbled" && this.putBehind(first)) continue;
      if (outcome === "lost" || outcome === "stumbled") {
        this.flushLater(wait);
        return;
      }
      this.failures = 0;
      if (outcome === "stopped") {
        this.on.stopped(reply);
        return;
      }
      this.remove(first, outcome);
      this.on[outcome](first, reply);
    }
  }

  /* Remove an operation; if it is a refused vote, also its reasons. */
  remove({ id, kind, fields }, outcome) {
    const isVoteRefused = outcome === "refused" && kind === "vote";
    const isGone = (one) => one.id === id || (isVoteRefused && one.fields.request_id === fields.request_id);
    this.save(this.load().filter((one) => !isGone(one)));
  }

  /* After enough failed attempts, move an operation and its vote's reasons behind the others, so that it does not
     hold them up for ever. True if the new first operation has not failed as often. */
  putBehind({ tries, fields }) {
    if (tries < VoteQueue.ENOUGH) return false;
    const operations = this.load();
    const isSame = (one) => one.fields.request_id === fields.request_id;
    this.save([...operations.filter((one) => !isSame(one)), ...operations.filter(isSame)]);
    return this.load()[0].tries < VoteQueue.ENOUGH;
  }

  flushLater(wait) {
    this.failures += 1;
    const pause = Math.min(500 * 2 ** this.failures, VoteQueue.SLOWEST) * (0.75 + Math.random() / 2);
    this.timer = setTimeout(() => this.flush(), wait ?? pause);
    this.on.delayed?.();
  }
}

/* crypto.randomUUID is missing if the site is used without https. */
export function makeRequestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return parts.join("-");
}
