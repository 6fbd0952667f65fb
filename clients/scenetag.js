/* A client of Scenetag's API in one file, without dependencies: for browsers, Node 18 and later, Deno, Bun.

   const client = new Client("https://tags.example.org", "st_…");
   (await client.suggest(photo)).hashtag; // "beach", or null: suggest nothing

   A photo is a Blob or File. A token is a secret: keep it on your server, not in a page. */

const MOST = 32; // photos in one request
const MOST_BYTES = 90 * 2 ** 20; // of them together

/* What the API answered instead of what was asked for. `status` is null if there was no answer, `fields` says
   what is wrong with which field, `retryAfter` is in seconds, or null. */
export class ScenetagError extends Error {
  constructor(detail, status = null, fields = {}, retryAfter = null) {
    super(detail);
    this.name = this.constructor.name;
    Object.assign(this, { status, fields, retryAfter });
  }
}
/* A field or photo is wrong: sending it again will not help. */
export class BadRequest extends ScenetagError {}
/* The token is missing, revoked or expired, lacks the scope, or its account may not do this. */
export class NotAllowed extends ScenetagError {}
/* More than the token's rate, for longer than the client waits. */
export class TooFast extends ScenetagError {}
/* The site or its model is away, or busy for longer than the client waits. */
export class Unavailable extends ScenetagError {}

const pause = (seconds) => new Promise((resolve) => void setTimeout(resolve, seconds * 1000));

/* Asks again after 429 and 503, up to `retries` times, when `Retry-After` says, if that is at most
   `longestWait` seconds. Every request may be repeated: none changes anything twice. */
export class Client {
  #site;
  #token;
  #options;

  constructor(site, token, { retries = 4, longestWait = 60, sleep = pause } = {}) {
    this.#site = `${site.replace(/\/+$/, "")}/api/v1/`;
    this.#token = token;
    this.#options = { retries, longestWait, sleep };
  }

  /* The answer about one photo. Options: max, crop, tta, probabilities. */
  async suggest(photo, options = {}) {
    return (await this.#post("suggest", formOf([photo], options))).json();
  }

  /* An answer for each photo, in order. One that cannot be read has `error` and `status` instead. */
  async suggestMany(photos, options = {}) {
    const answers = [];
    for (const part of partsOf(photos)) {
      // One after the other: the rate counts photos, and a second request would only wait for the first.
      // oxlint-disable-next-line no-await-in-loop
      answers.push(...(await this.#suggestPart(part, options)));
    }
    return answers;
  }

  /* As `suggestMany`, for up to 500 photos in one request: each answer as soon as it is known. */
  async *suggestStream(photos, options = {}) {
    const response = await this.#post("suggest/stream", formOf(photos, options));
    let rest = "";
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) if (line) yield JSON.parse(line);
    }
    if (rest) yield JSON.parse(rest);
  }

  /* Whether these hashtags fit the photo, each with its verdict, and the post's score. */
  async check(photo, hashtags) {
    return (await this.#post("check", formOf([photo], { hashtags }))).json();
  }

  /* Say what people did with answers: {answer: id, event: "accepted"}, up to 1,000. An event without `at`
     happened now. `faults` of the answer names the events that were refused; if all are, this
     throws BadRequest. */
  async feedback(events) {
    const at = new Date().toISOString();
    const body = JSON.stringify({ events: events.map((event) => ({ at, ...event })) });
    return (await this.#post("feedback", body, { "Content-Type": "application/json" })).json();
  }

  /* The model that answers now; null if its `etag` is still `unless`. */
  async model(unless = "") {
    const headers = unless ? { "If-None-Match": `"${unless}"` } : {};
    const response = await this.#send("model", { headers });
    return response.status === 304 ? null : response.json();
  }

  async #suggestPart(photos, options) {
    if (photos.length > 1)
      return (await (await this.#post("suggest", formOf(photos, options))).json()).answers;
    try {
      return [await this.suggest(photos[0], options)];
    } catch (error) {
      // An option may be wrong, not the photo.
      if (
        !(error instanceof BadRequest) ||
        Object.keys(error.fields).some((name) => !["photo", "detail"].includes(name))
      )
        throw error;
      return [{ file: photos[0].name ?? "photo", error: error.message, status: error.status }];
    }
  }

  #post(path, body, headers = {}) {
    return this.#send(path, { method: "POST", body, headers });
  }

  async #send(path, request) {
    const { retries, longestWait, sleep } = this.#options;
    const headers = { ...request.headers, Authorization: `Token ${this.#token}` };
    for (let attempt = 0; ; attempt += 1) {
      // oxlint-disable-next-line no-await-in-loop
      const { response, error } = await attemptOf(this.#site + path, { ...request, headers }, attempt);
      if (response) return response;
      if (error.retryAfter === null || error.retryAfter > longestWait || attempt === retries) throw error;
      // oxlint-disable-next-line no-await-in-loop
      await sleep(error.retryAfter);
    }
  }
}

async function attemptOf(address, request, attempt) {
  let response;
  try {
    response = await fetch(address, request);
  } catch (error) {
    const words = error.cause?.message ?? error.message;
    return { error: new Unavailable(words, null, {}, 2 ** attempt) };
  }
  return response.ok || response.status === 304 ? { response } : { error: await errorOf(response) };
}

async function errorOf(response) {
  const { status } = response;
  const told = await response.json().catch(() => null);
  const fields = told ?? {};
  const each = Object.entries(fields).map(([name, words]) => `${name}: ${[words].flat().join(" ")}`);
  const detail = fields.detail ?? (each.join("; ") || `Status ${status}`);
  const kinds = { 401: NotAllowed, 403: NotAllowed, 429: TooFast };
  const Kind = kinds[status] ?? (status >= 500 ? Unavailable : BadRequest);
  // Without the header, our own 503 means that no model is active; a proxy's may pass.
  const otherwise = told === null ? 1 : null;
  const waits = status === 429 || status === 503;
  const wait = waits ? secondsOf(response.headers.get("Retry-After"), otherwise) : null;
  return new Kind(detail, status, fields, wait);
}

/* Of Retry-After, which is a number of seconds or a date. */
function secondsOf(header, otherwise) {
  if (!header) return otherwise;
  const seconds = Number.isNaN(Number(header)) ? (Date.parse(header) - Date.now()) / 1000 : Number(header);
  return Number.isNaN(seconds) ? otherwise : Math.max(0, seconds);
}

/* As many photos as one request takes, by number and by size. */
function partsOf(photos) {
  const parts = [];
  let size = 0;
  for (const photo of photos) {
    const isFull = parts.length === 0 || parts.at(-1).length === MOST || size + photo.size > MOST_BYTES;
    if (isFull) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1).push(photo);
    size += photo.size;
  }
  return parts;
}

function formOf(photos, options) {
  const form = new FormData();
  for (const photo of photos) form.append("photo", photo, photo.name ?? "photo");
  for (const [name, value] of Object.entries(options)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null) form.append(name, String(one));
  }
  return form;
}
