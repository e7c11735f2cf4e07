// The grasp that is being drawn: setting it, taking it back, its marks, what the server says of it.

import { showButtons } from "./controls.js";
import { ends, fault, pixelsPerMetre } from "./geometry.js";
import { model } from "./model.js";
import { say } from "./say.js";
import { ask } from "./talk.js";
import { $, mm, sentence, svg } from "./tools.js";

let asked = 0, timer = 0;
export function setGrasp(next, { remember = true } = {}) {
  if (remember) model.history.push(model.grasp);
  if (model.history.length > 100) model.history.shift();
  model.grasp = next;
  model.found = null;
  model.hint = "";
  drawMarks();
  tellGrasp();
  showButtons();
  clearTimeout(timer);
  if (model.grasp && !fault(model.grasp)) timer = setTimeout(check, 150);
}

async function check() {
  if (!model.grasp || fault(model.grasp)) return; // undone, or another table, since the timer was set
  const mine = ++asked, number = model.pictureNumber;
  try {
    const told = await ask("POST", "api/check", { picture: number, grasp: model.grasp });
    if (mine !== asked || number !== model.pictureNumber) return;
    model.hint = told.hint ? sentence(told.hint) : "";
    tellGrasp();
    drawMarks();
  } catch { /* teaching itself says what is wrong */ }
}

function tellGrasp() {
  if (!model.grasp) { say("Press at one side of a thing, drag to its other side, let go."); return; }
  const wrong = fault(model.grasp) || model.hint;
  say(wrong || `${Math.round(model.grasp.u)} across, ${Math.round(model.grasp.v)} down, ${Math.round(model.grasp.yaw_deg)}°, ${mm(model.grasp.width)} mm open.`,
    wrong ? "bad" : "");
}

export function undo() {
  if (!model.history.length) return;
  model.grasp = model.history.pop();
  model.found = null;
  model.hint = "";
  drawMarks();
  tellGrasp();
  showButtons();
  if (model.grasp && !fault(model.grasp)) check();
}

export function drawMarks() {
  const marks = $("marks");
  marks.replaceChildren();
  if (!model.state?.picture) return;
  marks.append(svg("polygon", { class: "area", points: model.state.picture.workspace.map((c) => c.join()).join(" ") }));
  if (model.found) marks.append(jaws(model.found, "found"));
  if (model.grasp) marks.append(jaws(model.grasp, fault(model.grasp) || model.hint ? "wrong" : ""));
  const set = (id, value) => { if (document.activeElement !== $(id)) $(id).value = value; };
  set("g-u", model.grasp ? Math.round(model.grasp.u) : "");
  set("g-v", model.grasp ? Math.round(model.grasp.v) : "");
  set("g-a", model.grasp ? Math.round(model.grasp.yaw_deg) : "");
  set("g-w", model.grasp ? mm(model.grasp.width) : "");
}

function jaws(g, kind) {
  const group = svg("g", { class: kind });
  const [a, b] = ends(g), angle = g.yaw_deg * Math.PI / 180;
  const breadth = 0.009 * pixelsPerMetre(g.u, g.v) * 1.6;
  const [px, py] = [Math.sin(angle) * breadth, Math.cos(angle) * breadth];
  for (const rim of ["rim ", ""]) {
    group.append(svg("line", { class: `${rim}axis`, x1: a[0], y1: a[1], x2: b[0], y2: b[1] }));
    for (const [x, y] of [a, b]) group.append(svg("line", { class: `${rim}jaw`, x1: x - px, y1: y - py, x2: x + px, y2: y + py }));
  }
  const unit = model.state.picture.width / $("stage").clientWidth / model.zoom;
  for (const [x, y] of [[g.u, g.v], a, b]) group.append(svg("circle", { class: "knob", cx: x, cy: y, r: 5 * unit }));
  return group;
}
