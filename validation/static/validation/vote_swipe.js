/* A card that follows the finger. Beyond the threshold, or with a flick, it calls answered("right" | "left" |
   "up" | "down"); short of it, it springs back. With reduced motion the card stays and only its mark shows.
   Whoever looks closer, scrolls or selects the caption says nothing by it. */
"use strict";
function followFinger(card, answered) {
  const FLICK = 0.6; // px/ms
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const short = matchMedia("(max-height: 559px)"); // the page scrolls there: up and down are not ours
  let start = null;

  const far = () => Math.min(120, card.clientWidth * 0.28);
  const isZoomed = () => (window.visualViewport?.scale ?? 1) > 1.01;

  function way(dx, dy) {
    if (Math.abs(dx) >= Math.abs(dy)) return dx > 0 ? "right" : "left";
    if (short.matches) return null;
    return dy > 0 ? "down" : "up";
  }

  function rest() {
    start = null;
    card.classList.remove("is-dragged");
    delete card.dataset.way;
    for (const name of ["--dx", "--dy", "--turn", "--sure"]) card.style.removeProperty(name);
  }

  function move(event) {
    if (start?.id !== event.pointerId) return;
    const dx = event.clientX - start.x;
    const dy = event.clientY - start.y;
    const distance = Math.max(Math.abs(dx), Math.abs(dy));
    if (distance > 8) card.dataset.way = way(dx, dy) ?? "";
    card.style.setProperty("--sure", Math.min(1, distance / far()).toFixed(2));
    if (still.matches) return;
    card.classList.add("is-dragged");
    card.style.setProperty("--dx", `${dx}px`);
    card.style.setProperty("--dy", `${dy}px`);
    card.style.setProperty("--turn", `${(dx / 30).toFixed(2)}deg`);
  }

  function end(event) {
    if (start?.id !== event.pointerId) return;
    const dx = event.clientX - start.x;
    const dy = event.clientY - start.y;
    const distance = Math.max(Math.abs(dx), Math.abs(dy));
    const speed = distance / Math.max(1, event.timeStamp - start.time);
    rest();
    const where = way(dx, dy);
    if (where && (distance >= far() || (distance > 40 && speed > FLICK))) answered(where);
  }

  card.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button || isZoomed() || event.target.closest("figcaption")) {
      rest(); // a second finger wants to look closer
      return;
    }
    start = { id: event.pointerId, x: event.clientX, y: event.clientY, time: event.timeStamp };
    card.setPointerCapture(event.pointerId);
  });
  card.addEventListener("pointermove", move);
  card.addEventListener("pointerup", end);
  card.addEventListener("pointercancel", rest);
  // Zoomed in, one finger moves the page about: see .is-zoomed in vote.css.
  window.visualViewport?.addEventListener("resize", () => card.classList.toggle("is-zoomed", isZoomed()));
  card.addEventListener("dragstart", (event) => event.preventDefault());
}
