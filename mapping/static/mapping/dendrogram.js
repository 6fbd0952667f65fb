// Drag the line of the dendrogram; letting go cuts there. Without this file the form's field does the same.
const drawing = document.getElementById("dendrogram");
if (drawing) {
  const line = document.getElementById("cut-line");
  const form = document.getElementById("cut");
  const high = drawing.viewBox.baseVal.height;
  let moved = null;
  const heightOf = (event) => {
    const box = drawing.getBoundingClientRect();
    return Math.min(high, Math.max(0, ((event.clientY - box.top) / box.height) * high));
  };
  line.style.touchAction = "none";
  line.addEventListener("pointerdown", (event) => { line.setPointerCapture(event.pointerId); event.preventDefault(); });
  line.addEventListener("pointermove", (event) => {
    if (!line.hasPointerCapture(event.pointerId)) return;
    moved = heightOf(event);
    line.setAttribute("transform", `translate(0 ${moved})`);
    form.elements.distance.value = ((1 - moved / high) * Number(drawing.dataset.top)).toFixed(4);
  });
  line.addEventListener("pointerup", () => { if (moved !== null) form.requestSubmit(); });
}
