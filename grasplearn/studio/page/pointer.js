// Drawing by hand. Press at a handle takes it, press elsewhere begins a new grasp; Shift or a second button moves the
// sheet, two fingers zoom and move it. The same by keys and by numbers.

import { showButtons } from "./controls.js";
import { ends, fromEnds, wrap } from "./geometry.js";
import { setGrasp, undo } from "./grasp.js";
import { model } from "./model.js";
import { graspPlace, moveSheet, nextIfOwed, pixel, setZoom } from "./stage.js";
import { $, clamp } from "./tools.js";

let pinch = null;
const fingers = new Map(); // where each pointer that is down is, CSS px
const REACH = { mouse: 18, pen: 18, touch: 24 }; // CSS px around a handle

/** The middle between two fingers, shares of the stage, and how far they are apart. */
function spread() {
  const box = $("stage").getBoundingClientRect(), [[x1, y1], [x2, y2]] = [...fingers.values()];
  return { x: ((x1 + x2) / 2 - box.left) / box.width, y: ((y1 + y2) / 2 - box.top) / box.height, apart: Math.hypot(x2 - x1, y2 - y1) };
}

function handleAt(event) {
  if (!model.grasp) return null;
  const box = $("stage").getBoundingClientRect(), p = model.state.picture;
  const distance = ([x, y]) => Math.hypot(
    box.left + box.width * (model.panX + model.zoom * (x + 0.5) / p.width) - event.clientX,
    box.top + box.height * (model.panY + model.zoom * (y + 0.5) / p.height) - event.clientY);
  const places = [[model.grasp.u, model.grasp.v], ...ends(model.grasp)].map(distance);
  const nearest = places.indexOf(Math.min(...places));
  return places[nearest] <= (REACH[event.pointerType] ?? REACH.mouse) ? nearest : null;
}

$("stage").addEventListener("pointerdown", (event) => {
  if (!model.state?.picture || model.view === "robot") return;
  $("stage").focus({ preventScroll: true });
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (fingers.size > 1) { // what the first finger began to draw was not meant
    if (model.drag?.moved) setGrasp(model.drag.before, { remember: false });
    model.drag = null;
    pinch = fingers.size === 2 ? spread() : null;
    event.preventDefault();
    return;
  }
  if (event.button === 1 || event.shiftKey) {
    model.drag = { pan: [event.clientX, event.clientY, model.panX, model.panY] };
    $("stage").classList.add("panning");
  } else if (event.button === 0) {
    const handle = handleAt(event), at = pixel(event);
    model.drag = { before: model.grasp, handle, start: at, moved: false, ends: model.grasp ? ends(model.grasp) : null };
  } else return;
  event.preventDefault();
  $("stage").setPointerCapture(event.pointerId);
});

$("stage").addEventListener("pointermove", (event) => {
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pinch) {
    const { x, y, apart } = pinch;
    pinch = spread();
    [model.panX, model.panY] = [model.panX + pinch.x - x, model.panY + pinch.y - y];
    setZoom(model.zoom * pinch.apart / Math.max(apart, 1), pinch.x, pinch.y);
    return;
  }
  if (!model.drag) return;
  const begun = performance.now();
  if (model.drag.pan) {
    const box = $("stage").getBoundingClientRect(), [x, y, px, py] = model.drag.pan;
    model.panX = clamp(px + (event.clientX - x) / box.width, 1 - model.zoom, 0);
    model.panY = clamp(py + (event.clientY - y) / box.height, 1 - model.zoom, 0);
    moveSheet();
    return;
  }
  const at = pixel(event);
  if (!model.drag.moved && Math.hypot(at[0] - model.drag.start[0], at[1] - model.drag.start[1]) < 3) return;
  model.drag.moved = true;
  setGrasp(dragged(at), { remember: false });
  requestAnimationFrame(() => setTimeout(() => model.measured.drawn.push(performance.now() - begun)));
});

function dragged(at) {
  if (model.drag.handle === 0) return { ...model.drag.before, u: model.drag.before.u + at[0] - model.drag.start[0], v: model.drag.before.v + at[1] - model.drag.start[1] };
  if (model.drag.handle === 1) return fromEnds(at, model.drag.ends[1]);
  if (model.drag.handle === 2) return fromEnds(model.drag.ends[0], at);
  return fromEnds(model.drag.start, at);
}

function drop(event) {
  fingers.delete(event.pointerId);
  pinch = null;
  if (!model.drag) return;
  const ending = model.drag;
  model.drag = null;
  nextIfOwed();
  $("stage").classList.remove("panning");
  if (ending.pan) return;
  if (event.type === "pointercancel") { setGrasp(ending.before, { remember: false }); return; }
  if (ending.moved) model.history.push(ending.before);
  else if (ending.handle === null) { // a click: there, opened and turned as before
    const [u, v] = ending.start;
    setGrasp({ yaw_deg: 0, width: model.choices.max_width, ...ending.before, u, v });
  }
  showButtons();
}
$("stage").addEventListener("pointerup", drop);
$("stage").addEventListener("pointercancel", drop);
$("stage").addEventListener("wheel", (event) => {
  if (!event.ctrlKey && model.zoom === 1 && event.deltaY > 0) return; // the page scrolls on
  if (!event.ctrlKey && !$("stage").matches(":focus")) return;
  event.preventDefault();
  const box = $("stage").getBoundingClientRect();
  setZoom(model.zoom * Math.exp(-event.deltaY / 400), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
}, { passive: false });

const KEYS = {
  ArrowLeft: (g, far) => ({ u: g.u - (far ? 12 : 2) }), ArrowRight: (g, far) => ({ u: g.u + (far ? 12 : 2) }),
  ArrowUp: (g, far) => ({ v: g.v - (far ? 12 : 2) }), ArrowDown: (g, far) => ({ v: g.v + (far ? 12 : 2) }),
  q: (g) => ({ yaw_deg: wrap(g.yaw_deg + 5) }), e: (g) => ({ yaw_deg: wrap(g.yaw_deg - 5) }),
  w: (g) => ({ width: g.width + 0.002 }), s: (g) => ({ width: Math.max(0.004, g.width - 0.002) }),
};

$("stage").addEventListener("keydown", (event) => {
  if (!model.state?.picture || event.altKey || event.metaKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey) {
    if (key === "z") { undo(); event.preventDefault(); }
    return;
  }
  if (KEYS[key] && model.view !== "robot") {
    // The first key sets the jaws down in the middle.
    const p = model.state.picture;
    if (!model.grasp) setGrasp({ u: (p.width - 1) / 2, v: (p.height - 1) / 2, yaw_deg: 0, width: model.choices.max_width });
    else setGrasp({ ...model.grasp, ...KEYS[key](model.grasp, event.shiftKey) });
  } else if (key === "+" || key === "=") setZoom(model.zoom * 1.5, ...graspPlace());
  else if (key === "-") setZoom(model.zoom / 1.5, ...graspPlace());
  else if (key === "Enter") $("teach-form").requestSubmit($("teach").disabled ? undefined : $("teach"));
  else return;
  event.preventDefault();
});

for (const [id, name, scale] of [["g-u", "u", 1], ["g-v", "v", 1], ["g-a", "yaw_deg", 1], ["g-w", "width", 0.001]]) {
  $(id).addEventListener("input", () => {
    const value = $(id).valueAsNumber * scale, p = model.state?.picture;
    if (!p || !Number.isFinite(value)) return;
    const base = model.grasp ?? { u: (p.width - 1) / 2, v: (p.height - 1) / 2, yaw_deg: 0, width: model.choices.max_width };
    setGrasp({ ...base, [name]: name === "yaw_deg" ? wrap(value) : name === "width" ? Math.max(value, 0.001) : value });
  });
}
