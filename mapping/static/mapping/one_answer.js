/* A part of the page that htmx replaces after each answer: the class in the queue, the rows to settle. Takes one
   answer at a time: a second key press before the next class appears would decide about a class nobody has seen. */

const TOLD = [400, 409]; // with these the page itself says why the server refused

/* id: the part's id; the message shown when the server does not answer has the id `${id}-trouble`. */
export function takeOneAnswerAtATime(id, afterSwap) {
  let isSending = false;
  const part = () => document.getElementById(id);
  const listen = (name, handle) => {
    document.addEventListener(name, (event) => {
      if (event.detail.target?.id === id) handle(event);
    });
  };

  listen("htmx:beforeRequest", (event) => {
    if (isSending) {
      event.preventDefault();
      return;
    }
    isSending = true;
    part().classList.add("is-sending");
  });

  listen("htmx:beforeSwap", ({ detail }) => {
    const isWhole = detail.serverResponse.includes(`id="${id}"`);
    if (isWhole && TOLD.includes(detail.xhr.status)) {
      detail.shouldSwap = true;
      detail.isError = false;
    } else if (!isWhole && detail.xhr.status < 500) {
      detail.shouldSwap = false; // signed out meanwhile: loading the page again says what is wrong
      location.reload();
    }
  });

  listen("htmx:afterRequest", ({ detail }) => {
    isSending = false;
    part().classList.remove("is-sending");
    const isAnswered = detail.successful || TOLD.includes(detail.xhr.status);
    if (!isAnswered) document.getElementById(`${id}-trouble`).hidden = false;
  });

  listen("htmx:afterSwap", afterSwap);
}

/* A note is saved with the decision, so Enter in it must not choose one. */
export function leaveNote(event) {
  event.preventDefault();
  event.target.blur();
}
