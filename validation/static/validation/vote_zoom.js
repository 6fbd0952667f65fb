/* The photo in its full size, in a dialog that scrolls. Escape, a click or "Close" shows the ballot again. */

export class Zoom {
  constructor(dialog) {
    this.dialog = dialog;
    dialog?.addEventListener("click", () => dialog.close());
  }

  get isOpen() {
    return Boolean(this.dialog?.open);
  }

  open(image) {
    const copy = new Image();
    // Not the small copy that a phone shows.
    Object.assign(copy, { src: image.src, alt: image.alt });
    this.dialog.querySelector("div").replaceChildren(copy);
    this.dialog.showModal();
  }
}
