// The stage: still pictures, live frames, heat, and how near one looks.

import { notes, showButtons, suggestName } from "./controls.js";
import { drawMarks } from "./grasp.js";
import { model } from "./model.js";
import { say, toast } from "./say.js";
import { look, tell } from "./talk.js";
import { $, clamp } from "./tools.js";

let stillPicture = null, depthPicture = null;
let heatKey = "";

function draw(image) {
  const canvas = $("picture");
  const height = Math.round(canvas.width * image.height / image.width);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  if (Math.abs(height - canvas.height) < 2 || model.view !== "robot") context.drawImage(image, 0, 0, canvas.width, canvas.height);
  else { // another shape than the picture's: all of it, in the middle
    const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
    const w = image.width * scale, h = image.height * scale;
    context.fillStyle = "#12151a";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
  }
}

export async function newPicture(picture) {
  if (model.grasp && picture && model.pictureNumber && !model.laid.has(picture.number)) {
    toast("The table was laid anew from another page; the grasp that was drawn here is gone.");
  }
  model.pictureNumber = picture ? picture.number : null;
  model.depth = stillPicture = depthPicture = null;
  model.grasp = model.found = null;
  model.history = [];
  model.hint = "";
  setZoom(1);
  delete document.body.dataset.picture;
  if (!picture) { drawMarks(); return; }
  const number = picture.number;
  if (picture.object) { $("object").value = picture.object; $("tier").value = picture.tier; notes(); }
  if (!model.ownName) suggestName();
  const load = async (name) => {
    const response = await fetch(`api/pictures/${number}/${name}`);
    if (!response.ok) throw new Error("that picture is gone");
    return response;
  };
  try {
    const parts = await Promise.all(["color.webp", "depth.webp", "depth.bin"].map(load));
    const [color, shades] = await Promise.all(parts.slice(0, 2).map(async (r) => createImageBitmap(await r.blob())));
    const units = new Uint16Array(await parts[2].arrayBuffer());
    if (number !== model.pictureNumber) return; // a newer one has come
    [stillPicture, depthPicture, model.depth] = [color, shades, units];
  } catch { // it is gone, and the next state tells of another; or it did not get through
    setTimeout(() => { if (number === model.pictureNumber) newPicture(model.state.picture); }, 1000);
    return;
  }
  const canvas = $("picture");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  $("stage").style.aspectRatio = `${picture.width} / ${picture.height}`;
  $("stage").style.maxWidth = `calc(82vh * ${picture.width / picture.height})`; // all of it on the screen
  $("marks").setAttribute("viewBox", `-0.5 -0.5 ${picture.width} ${picture.height}`);
  if (model.view !== "robot") show(model.view);
  say(picture.own ? "Your picture. Press at one side of a thing, drag to its other side, let go."
    : "Press at one side of a thing, drag to its other side, let go.");
  drawMarks();
  showButtons();
  document.body.dataset.picture = number;
}

export function show(which) {
  model.view = which;
  for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === which));
  const image = { color: stillPicture, depth: depthPicture, robot: model.robotPicture }[which];
  if (image) draw(image);
  $("marks").hidden = $("heat-layer").dataset.off = which === "robot";
  $("marks").style.display = which === "robot" ? "none" : "";
  showHeat();
  look();
}

export function showHeat() {
  const layer = $("heat-layer");
  const job = model.state?.jobs.filter((j) => j.heat && j.picture === model.pictureNumber && ["teach", "find"].includes(j.kind)).at(-1);
  const wanted = job && $("heat").checked && model.view !== "robot";
  layer.hidden = !wanted;
  const key = job ? `${job.number}/${job.heat}` : "";
  if (!wanted || key === heatKey) return;
  heatKey = key;
  layer.src = `api/jobs/${job.number}/heat.png?${job.heat}`;
}

/** Draws a live frame and asks for the next: a page that is slow is sent fewer, never old ones. */
export async function frame(data) {
  try {
    const head = new DataView(data, 0, 9);
    const number = Number(head.getBigUint64(1));
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(data, 9)], { type: "image/jpeg" }));
    if (head.getUint8(0) === 1) {
      if (number === model.pictureNumber && model.view === "color") {
        model.measured.frames += 1;
        draw(bitmap);
      }
    } else {
      model.robotPicture = bitmap;
      $("stage").dataset.robot = "on";
      if (model.view === "robot") draw(bitmap);
    }
    await new Promise((done) => (document.hidden ? setTimeout(done, 500) : requestAnimationFrame(done)));
  } finally {
    if (model.drag) owed = true; // the jaws come first
    else next();
  }
}

let owed = false;
function next() {
  owed = false;
  tell("drawn");
}

/** Asks for the frame that was put off for a drag. */
export function nextIfOwed() {
  if (owed) next();
}

export function setZoom(value, x = 0.5, y = 0.5) {
  const next = clamp(value, 1, 6);
  // The point under (x, y), shares of the stage, stays where it is.
  model.panX = clamp(x - (x - model.panX) * next / model.zoom, 1 - next, 0);
  model.panY = clamp(y - (y - model.panY) * next / model.zoom, 1 - next, 0);
  model.zoom = next;
  moveSheet();
}

export function moveSheet() {
  $("sheet").style.transform = `translate(${100 * model.panX}%, ${100 * model.panY}%) scale(${model.zoom})`;
  $("zoom").textContent = `${+model.zoom.toFixed(1)}×`;
  $("zoom-out").disabled = model.zoom <= 1;
  $("zoom-in").disabled = model.zoom >= 6;
  if (model.grasp) drawMarks(); // handles keep their size
}

export function graspPlace() {
  const p = model.state?.picture;
  if (!model.grasp || !p) return [0.5, 0.5];
  return [model.panX + model.zoom * (model.grasp.u + 0.5) / p.width, model.panY + model.zoom * (model.grasp.v + 0.5) / p.height];
}

/** Pixel of the picture under the pointer. */
export function pixel(event) {
  const box = $("stage").getBoundingClientRect(), p = model.state.picture;
  const x = ((event.clientX - box.left) / box.width - model.panX) / model.zoom;
  const y = ((event.clientY - box.top) / box.height - model.panY) / model.zoom;
  return [x * p.width - 0.5, y * p.height - 0.5];
}
