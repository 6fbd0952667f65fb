/* Drag the line of the dendrogram; letting go cuts there. Without this file the form's field does the same. */
function followLine(drawing) {
  const line = document.getElementById("cut-line");
  const form = document.getElementById("cut");
  const { height } = drawing.viewBox.baseVal;
  let position = null; // where the line was dragged to
  const findHeight = (event) => {
    const box = drawing.getBoundingClientRect();
    return Math.min(height, Math.max(0, ((event.clientY - box.top) / box.height) * height));
  };
  line.style.touchAction = "none";
  line.addEventListener("pointerdown", (event) => {
    line.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  line.addEventListener("pointermove", (event) => {
    if (!line.hasPointerCapture(event.pointerId)) return;
    position = findHeight(event);
    line.setAttribute("transform", `translate(0 ${position})`);
    form.elements.distance.value = ((1 - position / height) * Number(drawing.dataset.top)).toFixed(4);
  });
  line.addEventListener("pointerup", () => {
    if (position !== null) form.requestSubmit();
  });
}

const drawing = document.getElementById("dendrogram");
if (drawing) followLine(drawing);
