/* Decides about dropped files; touches no page. A file is {name, size, modified}, its name with the path below
   the folder that was dropped. rules: see drop_context in validation/views/intake.py. */

/* The text in the page's language, which rules.words has by the English one, with its {holes} filled. */
export function say(text, rules, values = {}) {
  return (rules.words?.[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function kindOf(name, rules) {
  const ending = name.toLowerCase().match(/\.[^./]+$/)?.[0];
  return Object.keys(rules.endings).find((kind) => rules.endings[kind].includes(ending)) ?? "";
}

/* Hidden files, and what systems put beside photos: nobody misses them. */
export function isJunk(name, rules) {
  return name
    .toLowerCase()
    .split("/")
    .some((part) => part.startsWith(".") || rules.systemNames.includes(part));
}

/* Why a file cannot be taken; empty if it can. */
export function whyNot(file, rules) {
  const kind = kindOf(file.name, rules);
  if (!kind) return rules.taken;
  if (!file.size) return say("It is empty.", rules);
  const limit = rules.limits[kind];
  return file.size > limit ? say("It is larger than {size}.", rules, { size: sizeWords(limit, rules) }) : "";
}

/* The upload of this file that was begun before. Whoever chooses a file again may do so without its folder. */
export function findUpload(uploads, file) {
  const same = uploads.filter((one) => one.size === file.size && one.modified === file.modified);
  return (
    same.find((one) => one.name === file.name) ??
    same.find((one) => baseName(one.name) === baseName(file.name))
  );
}

function baseName(name) {
  return name.slice(name.lastIndexOf("/") + 1);
}

export function sizeWords(bytes, rules = {}) {
  if (bytes < 1024) return say("{n} bytes", rules, { n: bytes });
  const [unit, size] =
    bytes < 2 ** 20 ? ["KB", 2 ** 10] : bytes < 2 ** 30 ? ["MB", 2 ** 20] : ["GB", 2 ** 30];
  return say(`{n} ${unit}`, rules, { n: (bytes / size).toFixed(bytes < 10 * size ? 1 : 0) });
}

/* How far all is: items are {size, offset, state}. */
export function progressWords(items, rules = {}) {
  const total = items.reduce((sum, item) => sum + item.size, 0);
  const sent = items.reduce((sum, item) => sum + item.offset, 0);
  const done = items.filter((item) => item.state === "done").length;
  const stopped = items.filter((item) => item.state === "stopped").length;
  const files = say(items.length === 1 ? "1 file" : "{n} files", rules, { n: items.length });
  const size = sizeWords(total, rules);
  if (stopped) {
    const text = "{n} of {files} stopped. What is uploaded is kept: go on, or remove them.";
    return say(text, rules, { n: stopped, files });
  }
  if (!sent && !done) return `${files}, ${size}`;
  const percent = Math.floor((100 * sent) / total);
  return say("{n} of {files} uploaded, {percent} % of {size}", rules, { n: done, files, percent, size });
}

const PASSING = new Set([0, 429, 460, 502, 503, 504]); // answers after which the same may be sent again; 0: none came

/* What to do after an answer to a piece: {offset} to go on there, {again: true} to send it once more, {anew: true}
   if the upload is gone, {stop: words}. */
export function afterPiece({ status, offset, words }) {
  if (status === 204 || status === 409) return offset === null ? { stop: words } : { offset };
  if (status === 404) return { anew: true };
  if (PASSING.has(status)) return { again: true, stop: words || "The line is cut." };
  return { stop: words || `The server answered ${status}.` };
}
