/* Sends a file in pieces, by the protocol tus 1.0, and goes on where the server says that it is. */

import { afterPiece } from "./drop_state.js";

const TRIES = 5;
const WAIT = 1000; // milliseconds before the second try; twice as long before each later one

export class Stopped extends Error {}

/* upload: {address, offset, piece} of one that was begun before, or null. report(upload) is called after each piece.
   Returns the upload's address. Throws Stopped. */
export async function sendFile(file, name, { upload, begin, token, signal, report }) {
  let tries = 0;
  let restarts = 0;
  let at = upload ?? (await beginUpload(file, name, { begin, token, signal }));
  report(at);
  while (at.offset < file.size) {
    const next = afterPiece(await sendPiece(file, at, token, signal));
    if (next.offset !== undefined) {
      if (next.offset > at.offset) tries = 0;
      else if ((tries += 1) >= TRIES) throw new Stopped("It does not go on.");
      at = { ...at, offset: next.offset };
      report(at);
    } else if (next.anew && restarts === 0) {
      restarts += 1;
      at = await beginUpload(file, name, { begin, token, signal });
    } else if (next.again && (tries += 1) < TRIES) {
      await pause(WAIT * 2 ** (tries - 1), signal);
    } else {
      throw new Stopped(next.stop ?? "It was thrown away meanwhile.");
    }
  }
  return at.address;
}

export async function throwAway(address, token) {
  await ask("DELETE", address, { token });
}

async function beginUpload(file, name, { begin, token, signal }) {
  const facts = { filename: name, modified: String(file.lastModified) };
  const metadata = Object.entries(facts).map(
    ([key, value]) => `${key} ${toBase64(new TextEncoder().encode(value))}`,
  );
  const headers = { "Upload-Length": String(file.size), "Upload-Metadata": metadata.join(",") };
  for (let tries = 1; ; tries += 1) {
    const answer = await ask("POST", begin, { headers, token, signal });
    if (answer.status === 201) {
      return { address: answer.location, offset: answer.offset, piece: answer.piece };
    }
    const next = afterPiece(answer);
    if (!next.again || tries >= TRIES) throw new Stopped(next.stop ?? "It cannot be begun.");
    await pause(WAIT * 2 ** (tries - 1), signal);
  }
}

async function sendPiece(file, at, token, signal) {
  let body;
  try {
    body = await file.slice(at.offset, at.offset + at.piece).arrayBuffer();
  } catch {
    throw new Stopped("The file was changed or moved. Choose it again.");
  }
  const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(at.offset) };
  if (globalThis.crypto?.subtle) {
    headers["Upload-Checksum"] =
      `sha256 ${toBase64(new Uint8Array(await crypto.subtle.digest("SHA-256", body)))}`;
  }
  return ask("PATCH", at.address, { headers, body, token, signal });
}

async function ask(method, address, { headers = {}, body, token, signal }) {
  const own = { "Tus-Resumable": "1.0.0", "X-CSRFToken": token, Accept: "text/plain, */*;q=0.1" };
  const options = { method, signal, redirect: "manual", headers: { ...own, ...headers } };
  if (body) options.body = body;
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    if (signal?.aborted) throw new Stopped("Stopped.");
    return { status: 0, offset: null, words: "" };
  }
  if (response.type === "opaqueredirect")
    throw new Stopped("You are signed out. Sign in in another tab, then go on.");
  const isText = response.headers.get("Content-Type")?.startsWith("text/plain");
  return {
    status: response.status,
    offset: toNumber(response.headers.get("Upload-Offset")),
    piece: toNumber(response.headers.get("Upload-Piece")),
    location: response.headers.get("Location"),
    words: isText ? await response.text().catch(() => "") : "",
  };
}

function toNumber(text) {
  return text === null ? null : Number(text);
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new Stopped("Stopped."));
    });
  });
}
