/* Votes wait here, in the browser's storage, until the server has acknowledged them: they are sent one after
   the other, in order, again after a failure, and survive a reload. The server knows each by its request id. */
"use strict";
class VoteQueue {
  static SLOWEST = 30_000; // ms between two attempts
  static PATIENCE = 15_000; // ms until an attempt counts as lost
  static LONGEST = 60; // seconds that the server, or a proxy, may ask to wait
  static ENOUGH = 5; // attempts before what the server stumbles over makes room for the others

  /* urls: by kind of operation. on: {change, sent, refused, stopped}, called with what became of it. */
  constructor(name, urls, token, on) {
    // memory: what the storage did not take. Empty otherwise, or it would bring back what has long been sent.
    Object.assign(this, { name, urls, token, on, sending: false, failures: 0, timer: 0, memory: [] });
    addEventListener("online", () => this.flush());
    addEventListener("storage", (event) => { if (event.key === name) on.change(this.load()); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.flush(); });
  }

  load() {
    return [...this.memory, ...this.stored()];
  }

  stored() {
    try { return JSON.parse(localStorage.getItem(this.name) ?? "[]"); } catch { return []; }
  }

  save(operations) {
    try {
      if (operations.length) localStorage.setItem(this.name, JSON.stringify(operations));
      else localStorage.removeItem(this.name);
      this.memory = [];
    } catch { // refused or full: what is kept in memory is sent all the same, and what is stored is older
      this.memory = operations;
      try { localStorage.removeItem(this.name); } catch { /* then nothing can be read from it either */ }
    }
    this.on.change(operations);
  }

  /* fields go to the server; about is kept beside them for the page. */
  add(kind, fields, about = null) {
    this.save([...this.load(), { id: VoteQueue.uuid(), kind, fields, about, tries: 0 }]);
    this.flush();
  }

  /* Drops a vote that was never tried, with what was said of it. False: the server may have it already. */
  dropUntried(requestId) {
    const operations = this.load();
    const vote = operations.find((one) => one.kind === "vote" && one.fields.request_id === requestId);
    if (!vote || vote.tries) return false;
    this.save(operations.filter((one) => one.fields.request_id !== requestId));
    return true;
  }

  async flush() {
    if (this.sending) return;
    this.sending = true;
    clearTimeout(this.timer);
    // Two windows of one person share the queue: only one of them sends. Older pages have no locks.
    const drain = (lock) => (lock === null ? this.later(1_000) : this.drain());
    try {
      if (navigator.locks) await navigator.locks.request(this.name, { ifAvailable: true }, drain);
      else await this.drain();
    } finally {
      this.sending = false;
    }
  }

  async drain() {
    for (let first = this.load()[0]; first; first = this.load()[0]) {
      first.tries += 1;
      this.save([first, ...this.load().slice(1)]);
      const [outcome, said, wait] = await this.send(first);
      if (outcome === "stumbled" && this.putBehind(first)) continue;
      if (outcome === "lost" || outcome === "stumbled") return this.later(wait);
      this.failures = 0;
      if (outcome === "stopped") return this.on.stopped(said);
      const gone = (one) => one.id === first.id
        || (outcome === "refused" && first.kind === "vote" && one.fields.request_id === first.fields.request_id);
      this.save(this.load().filter((one) => !gone(one)));
      this.on[outcome](first, said);
    }
  }

  /* One operation must not hold up the others for ever: after enough attempts it goes behind them, with all
     that is said of the same vote. True: the one that is first now has not been tried in vain as often. */
  putBehind({ tries, fields }) {
    if (tries < VoteQueue.ENOUGH) return false;
    const operations = this.load();
    const isSame = (one) => one.fields.request_id === fields.request_id;
    this.save([...operations.filter((one) => !isSame(one)), ...operations.filter(isSame)]);
    return this.load()[0].tries < VoteQueue.ENOUGH;
  }

  later(wait) {
    this.failures += 1;
    const pause = Math.min(500 * 2 ** this.failures, VoteQueue.SLOWEST) * (0.75 + Math.random() / 2);
    this.timer = setTimeout(() => this.flush(), wait ?? pause);
  }

  /* Only JSON is the site's own word. Any other page (a proxy's, say) refuses nothing: it is sent again. */
  async send({ kind, fields }) {
    try {
      const response = await fetch(this.urls[kind], {
        method: "POST", redirect: "manual", body: new URLSearchParams(fields),
        headers: { "X-CSRFToken": this.token, Accept: "application/json" },
        signal: AbortSignal.timeout?.(VoteQueue.PATIENCE),
        keepalive: true, // goes out also when the page is left at this moment
      });
      const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
      const said = isJson ? await response.json() : {};
      if (response.ok && isJson) return ["sent", said];
      if (isJson && [400, 404, 409].includes(response.status)) return ["refused", said];
      if ([401, 403].includes(response.status) || response.type === "opaqueredirect") return ["stopped", said];
      if ([400, 404, 409, 500].includes(response.status)) return ["stumbled", said];
      const seconds = Math.min(Number(response.headers.get("Retry-After")), VoteQueue.LONGEST);
      return ["lost", said, seconds > 0 ? seconds * 1000 : undefined];
    } catch {
      return ["lost", {}];
    }
  }

  /* crypto.randomUUID is missing where the site is reached without https. */
  static uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  }
}
