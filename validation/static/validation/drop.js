/* The drop zone of a form: lists what is dropped, sends it when the form is sent, then sends the form. */

import { Stopped, sendFile, throwAway } from "./drop_send.js";
import { findUpload, isJunk, progressWords, say, sizeWords, whyNot } from "./drop_state.js";

const AT_ONCE = 3; // files that are sent at the same time
const MOST_REFUSED = 10; // refusals that are named

const root = document.querySelector("[data-drop]");
const form = root.closest("form");
const rules = JSON.parse(document.getElementById("drop-rules").textContent);
const token = form.elements.csrfmiddlewaretoken.value;
const part = (name) => root.querySelector(`[data-${name}]`);
const [zone, list, refused, status] = ["zone", "list", "refused", "status"].map(part);
const items = []; // {file, name, size, modified, offset, state, upload, row}
let isSending = false;

// --- what is dropped or chosen -----------------------------------------------------------------

function add(files) {
  const refusals = [];
  for (const { file, name } of files) {
    const facts = { name, size: file.size, modified: file.lastModified };
    if (isJunk(name, rules) || findUpload(items, facts)?.name === name) continue;
    const why = whyNot(facts, rules);
    if (why) refusals.push(`${name}: ${why}`);
    else if (!tickComplete(facts)) addItem(file, facts);
  }
  list.scrollTop = list.scrollHeight;
  showRefusals(refusals);
  showProgress();
}

/* Whether the file was uploaded before: then it only has to be chosen. */
function tickComplete(facts) {
  const rows = [...list.querySelectorAll("[data-complete]")];
  const row = findUpload(rows.map(factsOf), facts)?.row;
  if (row) row.querySelector("input").checked = true;
  return Boolean(row);
}

function addItem(file, facts) {
  const rows = [...list.querySelectorAll("[data-unfinished]")];
  const found = findUpload(rows.map(factsOf), facts);
  const upload = found && {
    address: found.row.dataset.unfinished,
    offset: Number(found.row.dataset.offset),
    piece: Number(found.row.dataset.piece),
  };
  found?.row.remove();
  const name = found?.name ?? facts.name;
  const item = {
    ...facts,
    name,
    file,
    upload,
    offset: upload?.offset ?? 0,
    state: "waiting",
    row: makeRow(name),
  };
  item.row.querySelector("button").addEventListener("click", () => remove(item));
  items.push(item);
  list.append(item.row);
  show(item);
}

const factsOf = (row) => ({
  row,
  name: row.dataset.name,
  size: Number(row.dataset.size),
  modified: Number(row.dataset.modified),
});

function remove(item) {
  item.stop?.abort();
  items.splice(items.indexOf(item), 1);
  item.row.remove();
  if (item.upload) throwAway(item.upload.address, token).catch(() => {}); // it ends by itself, too
  showProgress();
}

async function filesOf(transfer) {
  const entries = [...transfer.items].map((one) => one.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  return (await Promise.all(entries.map((entry) => filesBelow(entry)))).flat();
}

async function filesBelow(entry) {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) {
    return [{ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), name: path }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (!some.length) return found;
    for (const inner of some) found.push(...(await filesBelow(inner)));
  }
}

// --- sending -----------------------------------------------------------------------------------

async function sendAll() {
  isSending = true;
  form.classList.add("is-sending");
  for (const item of items) if (item.state === "stopped") item.state = "waiting";
  const work = async () => {
    for (let item; (item = items.find((one) => one.state === "waiting"));) await sendOne(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  isSending = false;
  form.classList.remove("is-sending");
  showProgress();
  if (items.length && items.every((item) => item.state === "done")) sendForm();
}

async function sendOne(item) {
  item.state = "sending";
  item.stop = new AbortController();
  show(item);
  const report = (upload) => {
    item.upload = upload;
    item.offset = upload.offset;
    show(item);
    showProgress();
  };
  try {
    const options = { upload: item.upload, begin: rules.begin, token, signal: item.stop.signal, report };
    await sendFile(item.file, item.name, options);
    item.state = "done";
  } catch (error) {
    item.state = "stopped";
    item.why = say(error instanceof Stopped ? error.message : "It was interrupted.", rules);
  }
  show(item);
  showProgress();
}

function sendForm() {
  for (const item of items) {
    const field = document.createElement("input");
    Object.assign(field, {
      type: "hidden",
      name: "dropped",
      value: item.upload.address.match(/(\d+)\/$/)[1],
    });
    form.append(field);
  }
  form.submit();
}

// --- what the page shows -----------------------------------------------------------------------

function makeRow(name) {
  const row = document.createElement("li");
  row.innerHTML =
    '<span class="drop-name"></span><span class="drop-state"></span>' +
    '<button class="as-link" type="button"></button><progress max="1"></progress>';
  row.querySelector(".drop-name").textContent = name;
  row.querySelector("progress").setAttribute("aria-label", name);
  row.querySelector("button").textContent = say("Remove", rules);
  row.querySelector("button").setAttribute("aria-label", say("Remove {name}", rules, { name }));
  return row;
}

function show(item) {
  const percent = Math.floor((100 * item.offset) / item.size);
  const size = sizeWords(item.size, rules);
  const words = {
    waiting: item.offset ? say("goes on at {percent} % of {size}", rules, { percent, size }) : size,
    sending: say("{percent} % of {size}", rules, { percent, size }),
    done: say("uploaded, {size}", rules, { size }),
    stopped: say("stopped at {percent} %. {why}", rules, { percent, why: item.why }),
  };
  item.row.querySelector(".drop-state").textContent = words[item.state];
  item.row.dataset.state = item.state;
  item.row.querySelector("progress").value = item.offset / item.size;
}

function showProgress() {
  status.textContent = items.length ? progressWords(items, rules) : "";
}

function showRefusals(refusals) {
  const more = refusals.length - MOST_REFUSED;
  const lines = [
    ...refusals.slice(0, MOST_REFUSED),
    ...(more > 0 ? [say("{n} more files cannot be taken.", rules, { n: more })] : []),
  ];
  refused.replaceChildren(
    ...lines.map((words) => {
      const line = document.createElement("li");
      line.textContent = words;
      return line;
    }),
  );
}

// --- the page's events -------------------------------------------------------------------------

zone.hidden = false;
for (const plain of form.querySelectorAll("[data-plain]")) {
  plain.hidden = true;
  for (const field of plain.querySelectorAll("input")) field.disabled = true;
}
for (const button of list.querySelectorAll("[data-go-on]")) {
  button.hidden = false;
  button.addEventListener("click", () => part("files").click());
}
for (const [button, input] of [
  ["choose", "files"],
  ["choose-folder", "folder"],
]) {
  part(button)?.addEventListener("click", () => part(input).click());
  part(input)?.addEventListener("change", ({ target }) => {
    add([...target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
    target.value = ""; // so that the same file can be chosen again
  });
}
for (const name of ["dragenter", "dragover"]) {
  zone.addEventListener(name, (event) => {
    event.preventDefault();
    zone.classList.add("is-over");
  });
}
zone.addEventListener("dragleave", () => zone.classList.remove("is-over"));
zone.addEventListener("drop", async (event) => {
  event.preventDefault();
  zone.classList.remove("is-over");
  add(await filesOf(event.dataTransfer));
});
form.addEventListener("submit", (event) => {
  if (!items.length) return; // a folder on the server, or what was uploaded before
  event.preventDefault();
  if (!isSending) sendAll();
});
window.addEventListener("online", () => {
  if (!isSending && items.some((item) => item.state === "stopped")) sendAll();
});
