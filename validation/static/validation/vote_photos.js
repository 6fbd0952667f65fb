/* The photos of the next questions, loaded and decoded before the questions are shown. */
import { LIMITS } from "./vote_network.js";

const REMEMBERED = 50;

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const isSeen = (image) => image.complete && image.naturalWidth > 0;

/* Wait until the image is decoded, has failed, or has taken too long. */
export const decode = (image) => Promise.race([image.decode().catch(() => {}), pause(LIMITS.patience)]);

export class Photos {
  constructor(alt) {
    this.alt = alt;
    this.images = new Map(); // by photo
    this.failures = new Map(); // by photo: how often it could not be loaded
  }

  /* Keep the photo that the server's page already shows. */
  keep(question, image) {
    this.images.set(question.photo, image);
  }

  get({ photo, image: large, small, width, height }) {
    if (this.images.has(photo)) return this.images.get(photo);
    const image = new Image();
    Object.assign(image, { alt: this.alt, width, height, draggable: false });
    image.src = matchMedia("(max-width: 600px)").matches ? small : large;
    this.images.set(photo, image);
    if (this.images.size > REMEMBERED) this.images.delete(this.images.keys().next().value);
    return image;
  }

  /* True if the question can be shown. After two failures it is shown anyway, so that it can be skipped. */
  async load(question) {
    const { photo } = question;
    const image = this.get(question);
    await decode(image);
    if (isSeen(image)) return true;
    if (image.complete) this.images.delete(photo); // failed: the next try asks for it anew
    this.failures.set(photo, (this.failures.get(photo) ?? 0) + 1);
    return this.failures.get(photo) > 1;
  }
}
