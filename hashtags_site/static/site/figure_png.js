/* Figures as PNG: the browser draws the site's own SVG. The buttons show only where this file has loaded. */

const SCALE = 2; // pixels per unit of the drawing: sharp on paper, too

async function drawPng(svg) {
  const address = URL.createObjectURL(svg);
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth * SCALE;
    canvas.height = image.naturalHeight * SCALE;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    const png = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    if (!png) throw new Error("The canvas is too large.");
    return png;
  } finally {
    URL.revokeObjectURL(address);
  }
}

function save(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download may begin later
}

async function savePng(button) {
  button.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(button.dataset.png);
    if (!response.ok) throw new Error(`Status ${response.status}`);
    const [, name] = /filename="(.+)\.svg"/.exec(response.headers.get("Content-Disposition"));
    save(await drawPng(await response.blob()), `${name}.png`);
    button.textContent = "PNG";
  } catch {
    button.textContent = button.ariaLabel = button.dataset.failed;
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.documentElement.classList.add("draws-png");
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-png]");
  if (button && !button.hasAttribute("aria-busy")) void savePng(button);
});
