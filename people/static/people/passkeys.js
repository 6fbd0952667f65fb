/* Makes and shows passkeys. Without this file, or where the browser knows none, codes remain. */
async function optionsFor(form) {
  const element = document.getElementById("passkey-options");
  if (element) return JSON.parse(element.textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  return answer.json();
}

async function create(form) {
  const { creation_options: given } = await optionsFor(form);
  const alone = form.elements.passwordless?.checked;
  const selection = { ...given.publicKey.authenticatorSelection };
  selection.residentKey = alone ? "required" : "discouraged";
  selection.requireResidentKey = Boolean(alone);
  if (alone) selection.userVerification = "required";
  const options = { ...given.publicKey, authenticatorSelection: selection };
  return navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
  });
}

async function get(form) {
  const { request_options: given } = await optionsFor(form);
  return navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(given.publicKey),
  });
}

async function send(form) {
  try {
    const passkey = await (form.dataset.passkey === "create" ? create(form) : get(form));
    form.elements.credential.value = JSON.stringify(passkey.toJSON());
    form.submit();
  } catch {
    const status = form.querySelector("[data-passkey-status]");
    status.textContent = status.dataset.trouble;
  }
}

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  for (const element of document.querySelectorAll("[data-passkey-only]")) element.hidden = false;
  for (const form of document.querySelectorAll("[data-passkey]")) {
    form.querySelector("button").addEventListener("click", () => send(form));
  }
}
