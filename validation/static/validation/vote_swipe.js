/* A card that follows the finger. Beyond the threshold, or with a flick, it calls answer("right" | "left" |
   "up" | "down"); otherwise it springs back. With reduced motion the card stays and only its mark shows.
   Zooming, scrolling and selecting the caption give no answer. */

const FLICK = 0.6; // px/ms
const SHORTEST_FLICK = 40; // px
const SLIGHTEST = 8; // px before the mark says where it goes

/* The distance in px from which a swipe is an answer. */
export const findThreshold = (width) => Math.min(120, width * 0.28);

/* isScrolling: the page scrolls up and down, so only left and right answer. */
export function findDirection(dx, dy, isScrolling) {
  if (Math.abs(dx) >= Math.abs(dy)) return dx > 0 ? "right" : "left";
  if (isScrolling) return null;
  return dy > 0 ? "down" : "up";
}

const isZoomed = () => (globalThis.visualViewport?.scale ?? 1) > 1.01;
const measure = (dx, dy) => Math.max(Math.abs(dx), Math.abs(dy));

/* The direction that a finished swipe answers with, or null. */
export function judgeSwipe({ dx, dy, ms, width, isScrolling }) {
  const distance = measure(dx, dy);
  const speed = distance / Math.max(1, ms);
  const isFar = distance >= findThreshold(width);
  const isFlick = distance > SHORTEST_FLICK && speed > FLICK;
  return isFar || isFlick ? findDirection(dx, dy, isScrolling) : null;
}

export function followFinger(card, answer) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const short = matchMedia("(max-height: 559px)"); // the page scrolls there: up and down are not ours
  let start = null;

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
    const distance = measure(dx, dy);
    if (distance > SLIGHTEST) card.dataset.way = findDirection(dx, dy, short.matches) ?? "";
    card.style.setProperty("--sure", Math.min(1, distance / findThreshold(card.clientWidth)).toFixed(2));
    if (still.matches) return;
    card.classList.add("is-dragged");
    card.style.setProperty("--dx", `${dx}px`);
    card.style.setProperty("--dy", `${dy}px`);
    card.style.setProperty("--turn", `${(dx / 30).toFixed(2)}deg`);
  }

  function end(event) {
    if (start?.id !== event.pointerId) return;
    const direction = judgeSwipe({
      dx: event.clientX - start.x,
      dy: event.clientY - start.y,
      ms: event.timeStamp - start.time,
      width: card.clientWidth,
      isScrolling: short.matches,
    });
    rest();
    if (direction) answer(direction);
  }

  card.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button || isZoomed() || event.target.closest("figcaption, button")) {
      rest(); // a second finger wants to look closer
      return;
    }
    start = { id: event.pointerId, x: event.clientX, y: event.clientY, time: event.timeStamp };
    card.setPointerCapture(event.pointerId);
  });
  card.addEventListener("pointermove", move);
  card.addEventListener("pointerup", end);
  card.addEventListener("pointercancel", rest);
  // While zoomed in, one finger pans the page: see .is-zoomed in vote.css.
  globalThis.visualViewport?.addEventListener("resize", () => card.classList.toggle("is-zoomed", isZoomed()));
  card.addEventListener("dragstart", (event) => event.preventDefault());
}
