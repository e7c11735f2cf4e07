// The page's script, by role: talking to the server, the stage, the grasp, what is shown of the state.
// The server's state is the truth: every message holds all of it, and the page draws what it says.

const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
const svg = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

// -- what the page knows --------------------------------------------------------------------------

let state = null; // as the server last told it
let choices = { objects: [], tiers: [], rules: [], max_width: 0.08, max_upload: Infinity };
let choicesCount = -1;
let grasp = null; // {u, v, yaw_deg, width}: pixels of the picture, degrees counter-clockwise, m
let found = null; // where a skill would grasp
let history = [];
let hint = ""; // what the server says of the grasp
let view = "color";
let zoom = 1, panX = 0, panY = 0;
let depth = null; // Uint16Array
let stillPicture = null, depthPicture = null, robotPicture = null;
let pictureNumber = null;
const laid = new Set(); // pictures that this page asked for: each has its job's number
let heatKey = "";
let ownName = false; // whether a person has typed the skill's name
const ended = new Set(); // jobs of which it was said how they ended, or that had ended before
const measured = { frames: 0, drawn: [] }; // for benchmarks/studio.py
window.studio = { measured, get state() { return state; }, get grasp() { return grasp; } };

// -- talking ---------------------------------------------------------------------------------------

async function ask(method, path, body) {
  const options = { method, headers: {} };
  if (body instanceof Blob) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the studio does not answer; is it still running in the terminal?");
  }
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error || `the studio refused (${response.status})`);
  return told;
}

/** Runs what a person asked for; what goes wrong is said in a sentence. */
async function doing(work) {
  try {
    return await work();
  } catch (error) {
    toast(error.message);
    return null;
  }
}

let socket = null, retry = 300;
function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { retry = 300; look(); };
  socket.onmessage = ({ data }) => (typeof data === "string" ? take(JSON.parse(data)) : frame(data));
  socket.onclose = ({ reason }) => {
    status(reason || "no connection; trying again", "bad");
    document.body.dataset.link = "off";
    setTimeout(connect, retry);
    retry = Math.min(retry * 1.6, 3000);
  };
}

/** Tells the server whether anybody looks at the live picture. */
function look() {
  const wanted = view === "color" && !document.hidden && !calm;
  if (socket && socket.readyState === 1) socket.send(wanted ? "look" : "no");
}
document.addEventListener("visibilitychange", look);

/** Draws a live frame and asks for the next: a page that is slow is sent fewer, never old ones. */
async function frame(data) {
  try {
    const head = new DataView(data, 0, 9);
    const number = Number(head.getBigUint64(1));
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(data, 9)], { type: "image/jpeg" }));
    if (head.getUint8(0) === 1) {
      if (number === pictureNumber && view === "color") {
        measured.frames += 1;
        draw(bitmap);
      }
    } else {
      robotPicture = bitmap;
      $("stage").dataset.robot = "on";
      if (view === "robot") draw(bitmap);
    }
    await new Promise((done) => (document.hidden ? setTimeout(done, 500) : requestAnimationFrame(done)));
  } finally {
    if (drag) owed = true; // the jaws come first
    else next();
  }
}
let owed = false;
function next() {
  owed = false;
  if (socket.readyState === 1) socket.send("drawn");
}

// -- taking the state ------------------------------------------------------------------------------

function take(told) {
  const restarted = state && state.server !== told.server;
  if (!state || restarted) for (const job of told.jobs) if (!open(job)) ended.add(job.number);
  state = told;
  document.body.dataset.link = "on";
  if (restarted) {
    toast("The studio was started anew. What was being learnt then is gone; the skills are as they were.");
    choicesCount = -1;
    pictureNumber = undefined; // whatever there is now, it is another one
  }
  if (told.choices !== choicesCount) {
    choicesCount = told.choices;
    fetchChoices();
  }
  const number = told.picture ? told.picture.number : null;
  if (number !== pictureNumber) newPicture(told.picture);
  $("notice").hidden = !told.error;
  $("notice").textContent = told.error;
  for (const job of told.jobs) noteEnd(job);
  showStatus();
  showQueue();
  showLearning();
  showHeat();
  showResults();
  showLibrary();
  showButtons();
}

async function fetchChoices() {
  const told = await doing(() => ask("GET", "api/choices"));
  if (!told) return;
  choices = told;
  $("objects").replaceChildren(...told.objects.map((o) => el("option", { value: o.id, label: o.split })));
  for (const id of ["tier", "try-tier"]) fill($(id), told.tiers.map((t) => t.name), $(id).value || "same");
  fill($("rule"), told.rules.map((r) => r.name), $("rule").value || "static-sgm");
  notes();
}

function fill(select, names, value, labels = names) {
  const same = select.options.length === names.length && names.every((n, i) => select.options[i].value === n);
  if (!same) select.replaceChildren(...names.map((n, i) => el("option", { value: n, textContent: labels[i] })));
  select.value = names.includes(value) ? value : names[0] ?? "";
}

function notes() {
  const rule = choices.rules.find((r) => r.name === $("rule").value);
  $("rule-note").textContent = rule ? sentence(rule.cost) : "";
  $("rule-note").title = $("rule").title = rule ? sentence(rule.note) : "";
  const tier = choices.tiers.find((t) => t.name === $("tier").value);
  $("tier-note").textContent = tier ? tier.note : "";
}

const running = () => state?.jobs.find((j) => ["running", "stopping"].includes(j.status));
const open = (job) => ["queued", "running", "stopping"].includes(job.status);

/** Says once how a job ended, also of one so quick that it was never told as running. */
function noteEnd(job) {
  if (open(job) || ended.has(job.number)) return;
  ended.add(job.number);
  if (job.status === "failed") toast(sentence(job.error));
  if (job.status === "cancelled") toast(`Cancelled: ${job.title}. The skills are as they were.`);
  if (job.status !== "done") return;
  if (job.kind === "teach") {
    const kept = { imprint: "the imprint", refined: "the refined net", untaught: "the untaught net" }[job.result.kept];
    say(`Taught ${job.result.skill} in ${job.result.seconds.toFixed(1)} s; kept: ${kept}.`, "good");
    if (job.result.warning) toast(sentence(job.result.warning));
    $("skill-a").dataset.want = job.result.skill;
    ownName = false;
  } else if (job.kind === "find" && job.result.picture === pictureNumber) {
    found = job.result.grasp;
    say(`${job.result.skill} would grasp here, confidence ${job.result.confidence.toFixed(2)}.`, "good");
    drawMarks();
  } else if (job.kind === "take_in") toast(`Imported ${job.result.skill}.`);
  else if (job.kind === "mesh") for (const c of job.result.complaints) toast(sentence(c));
}

// -- the stage -------------------------------------------------------------------------------------

function draw(image) {
  const canvas = $("picture");
  const height = Math.round(canvas.width * image.height / image.width);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  if (Math.abs(height - canvas.height) < 2 || view !== "robot") context.drawImage(image, 0, 0, canvas.width, canvas.height);
  else { // another shape than the picture's: all of it, in the middle
    const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
    const w = image.width * scale, h = image.height * scale;
    context.fillStyle = "#12151a";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
  }
}

async function newPicture(picture) {
  if (grasp && picture && pictureNumber && !laid.has(picture.number)) {
    toast("The table was laid anew from another page; the grasp that was drawn here is gone.");
  }
  pictureNumber = picture ? picture.number : null;
  depth = stillPicture = depthPicture = null;
  grasp = found = null;
  history = [];
  hint = "";
  setZoom(1);
  delete document.body.dataset.picture;
  if (!picture) { drawMarks(); return; }
  const number = picture.number;
  if (picture.object) { $("object").value = picture.object; $("tier").value = picture.tier; notes(); }
  if (!ownName) suggestName();
  const load = async (name) => {
    const response = await fetch(`api/pictures/${number}/${name}`);
    if (!response.ok) throw new Error("that picture is gone");
    return response;
  };
  try {
    const parts = await Promise.all(["color.webp", "depth.webp", "depth.bin"].map(load));
    const [color, shades] = await Promise.all(parts.slice(0, 2).map(async (r) => createImageBitmap(await r.blob())));
    const units = new Uint16Array(await parts[2].arrayBuffer());
    if (number !== pictureNumber) return; // a newer one has come
    [stillPicture, depthPicture, depth] = [color, shades, units];
  } catch { // it is gone, and the next state tells of another; or it did not get through
    setTimeout(() => { if (number === pictureNumber) newPicture(state.picture); }, 1000);
    return;
  }
  const canvas = $("picture");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  $("stage").style.aspectRatio = `${picture.width} / ${picture.height}`;
  $("stage").style.maxWidth = `calc(82vh * ${picture.width / picture.height})`; // all of it on the screen
  $("marks").setAttribute("viewBox", `-0.5 -0.5 ${picture.width} ${picture.height}`);
  if (view !== "robot") show(view);
  say(picture.own ? "Your picture. Press at one side of a thing, drag to its other side, let go."
    : "Press at one side of a thing, drag to its other side, let go.");
  drawMarks();
  showButtons();
  document.body.dataset.picture = number;
}

function show(which) {
  view = which;
  for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === which));
  const image = { color: stillPicture, depth: depthPicture, robot: robotPicture }[which];
  if (image) draw(image);
  $("marks").hidden = $("heat-layer").dataset.off = which === "robot";
  $("marks").style.display = which === "robot" ? "none" : "";
  showHeat();
  look();
}

function setZoom(value, x = 0.5, y = 0.5) {
  const next = clamp(value, 1, 6);
  // The point under (x, y), shares of the stage, stays where it is.
  panX = clamp(x - (x - panX) * next / zoom, 1 - next, 0);
  panY = clamp(y - (y - panY) * next / zoom, 1 - next, 0);
  zoom = next;
  moveSheet();
}

function moveSheet() {
  $("sheet").style.transform = `translate(${100 * panX}%, ${100 * panY}%) scale(${zoom})`;
  $("zoom").textContent = `${+zoom.toFixed(1)}×`;
  $("zoom-out").disabled = zoom <= 1;
  $("zoom-in").disabled = zoom >= 6;
  if (grasp) drawMarks(); // handles keep their size
}

function graspPlace() {
  const p = state?.picture;
  if (!grasp || !p) return [0.5, 0.5];
  return [panX + zoom * (grasp.u + 0.5) / p.width, panY + zoom * (grasp.v + 0.5) / p.height];
}

/** Pixel of the picture under the pointer. */
function pixel(event) {
  const box = $("stage").getBoundingClientRect(), p = state.picture;
  const x = ((event.clientX - box.left) / box.width - panX) / zoom;
  const y = ((event.clientY - box.top) / box.height - panY) / zoom;
  return [x * p.width - 0.5, y * p.height - 0.5];
}

/** Depth at a pixel, m: the nearest that the sensor saw there, or the table's. */
function depthAt(u, v) {
  const p = state.picture;
  if (!depth) return p.table_depth;
  const [x, y] = [clamp(Math.round(u), 0, p.width - 1), clamp(Math.round(v), 0, p.height - 1)];
  for (let reach = 0; reach <= 5; reach++) {
    for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) {
      if (Math.max(Math.abs(dx), Math.abs(dy)) !== reach) continue;
      const [a, b] = [x + dx, y + dy];
      if (a < 0 || b < 0 || a >= p.width || b >= p.height) continue;
      const units = depth[b * p.width + a];
      if (units) return units * p.depth_unit;
    }
  }
  return p.table_depth;
}
const pixelsPerMetre = (u, v) => state.picture.focal / depthAt(u, v);

// -- the grasp ---------------------------------------------------------------------------------------

function ends(g) {
  const half = g.width * pixelsPerMetre(g.u, g.v) / 2, a = g.yaw_deg * Math.PI / 180;
  const [dx, dy] = [Math.cos(a) * half, -Math.sin(a) * half];
  return [[g.u - dx, g.v - dy], [g.u + dx, g.v + dy]];
}

function fromEnds([x1, y1], [x2, y2]) {
  const [u, v] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return { u, v, yaw_deg: wrap(Math.atan2(y1 - y2, x2 - x1) * 180 / Math.PI),
    width: Math.hypot(x2 - x1, y2 - y1) / pixelsPerMetre(u, v) };
}
const wrap = (degrees) => ((degrees + 90) % 180 + 180) % 180 - 90;

/** What is wrong with the grasp that can be told at once; the server is asked for the rest. */
function fault(g) {
  const p = state.picture;
  if (!p) return "There is no picture yet.";
  if (g.u < 0 || g.v < 0 || g.u > p.width - 1 || g.v > p.height - 1 || !inside(g, p.workspace)) {
    return "That point is off the table's workspace, the dashed square: move it inside.";
  }
  if (g.width > choices.max_width + 1e-6) {
    return `The jaws are ${mm(g.width)} mm apart here, and the hand opens ${mm(choices.max_width)} mm at most: grasp a narrower side.`;
  }
  return "";
}
const mm = (metres) => Math.round(metres * 1000);

function inside(g, corners) {
  let within = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [xi, yi] = corners[i], [xj, yj] = corners[j];
    if ((yi > g.v) !== (yj > g.v) && g.u < (xj - xi) * (g.v - yi) / (yj - yi) + xi) within = !within;
  }
  return within;
}

let asked = 0, timer = 0;
function setGrasp(next, { remember = true } = {}) {
  if (remember) history.push(grasp);
  if (history.length > 100) history.shift();
  grasp = next;
  found = null;
  hint = "";
  drawMarks();
  tellGrasp();
  showButtons();
  clearTimeout(timer);
  if (grasp && !fault(grasp)) timer = setTimeout(check, 150);
}

async function check() {
  if (!grasp || fault(grasp)) return; // undone, or another table, since the timer was set
  const mine = ++asked, number = pictureNumber;
  try {
    const told = await ask("POST", "api/check", { picture: number, grasp });
    if (mine !== asked || number !== pictureNumber) return;
    hint = told.hint ? sentence(told.hint) : "";
    tellGrasp();
    drawMarks();
  } catch { /* teaching itself says what is wrong */ }
}

function tellGrasp() {
  if (!grasp) { say("Press at one side of a thing, drag to its other side, let go."); return; }
  const wrong = fault(grasp) || hint;
  say(wrong || `${Math.round(grasp.u)} across, ${Math.round(grasp.v)} down, ${Math.round(grasp.yaw_deg)}°, ${mm(grasp.width)} mm open.`,
    wrong ? "bad" : "");
}

function undo() {
  if (!history.length) return;
  grasp = history.pop();
  found = null;
  hint = "";
  drawMarks();
  tellGrasp();
  showButtons();
  if (grasp && !fault(grasp)) check();
}

function drawMarks() {
  const marks = $("marks");
  marks.replaceChildren();
  if (!state?.picture) return;
  marks.append(svg("polygon", { class: "area", points: state.picture.workspace.map((c) => c.join()).join(" ") }));
  if (found) marks.append(jaws(found, "found"));
  if (grasp) marks.append(jaws(grasp, fault(grasp) || hint ? "wrong" : ""));
  const set = (id, value) => { if (document.activeElement !== $(id)) $(id).value = value; };
  set("g-u", grasp ? Math.round(grasp.u) : "");
  set("g-v", grasp ? Math.round(grasp.v) : "");
  set("g-a", grasp ? Math.round(grasp.yaw_deg) : "");
  set("g-w", grasp ? mm(grasp.width) : "");
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
  const unit = state.picture.width / $("stage").clientWidth / zoom;
  for (const [x, y] of [[g.u, g.v], a, b]) group.append(svg("circle", { class: "knob", cx: x, cy: y, r: 5 * unit }));
  return group;
}

// Pointer: press at a handle takes it, press elsewhere begins a new grasp; Shift or a second button moves the sheet,
// two fingers zoom and move it.
let drag = null, pinch = null;
const fingers = new Map(); // where each pointer that is down is, CSS px
const REACH = { mouse: 18, pen: 18, touch: 24 }; // CSS px around a handle

/** The middle between two fingers, shares of the stage, and how far they are apart. */
function spread() {
  const box = $("stage").getBoundingClientRect(), [[x1, y1], [x2, y2]] = [...fingers.values()];
  return { x: ((x1 + x2) / 2 - box.left) / box.width, y: ((y1 + y2) / 2 - box.top) / box.height, apart: Math.hypot(x2 - x1, y2 - y1) };
}

function handleAt(event) {
  if (!grasp) return null;
  const box = $("stage").getBoundingClientRect(), p = state.picture;
  const distance = ([x, y]) => Math.hypot(
    box.left + box.width * (panX + zoom * (x + 0.5) / p.width) - event.clientX,
    box.top + box.height * (panY + zoom * (y + 0.5) / p.height) - event.clientY);
  const places = [[grasp.u, grasp.v], ...ends(grasp)].map(distance);
  const nearest = places.indexOf(Math.min(...places));
  return places[nearest] <= (REACH[event.pointerType] ?? REACH.mouse) ? nearest : null;
}

$("stage").addEventListener("pointerdown", (event) => {
  if (!state?.picture || view === "robot") return;
  $("stage").focus({ preventScroll: true });
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (fingers.size > 1) { // what the first finger began to draw was not meant
    if (drag?.moved) setGrasp(drag.before, { remember: false });
    drag = null;
    pinch = fingers.size === 2 ? spread() : null;
    event.preventDefault();
    return;
  }
  if (event.button === 1 || event.shiftKey) {
    drag = { pan: [event.clientX, event.clientY, panX, panY] };
    $("stage").classList.add("panning");
  } else if (event.button === 0) {
    const handle = handleAt(event), at = pixel(event);
    drag = { before: grasp, handle, start: at, moved: false, ends: grasp ? ends(grasp) : null };
  } else return;
  event.preventDefault();
  $("stage").setPointerCapture(event.pointerId);
});

$("stage").addEventListener("pointermove", (event) => {
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pinch) {
    const { x, y, apart } = pinch;
    pinch = spread();
    [panX, panY] = [panX + pinch.x - x, panY + pinch.y - y];
    setZoom(zoom * pinch.apart / Math.max(apart, 1), pinch.x, pinch.y);
    return;
  }
  if (!drag) return;
  const begun = performance.now();
  if (drag.pan) {
    const box = $("stage").getBoundingClientRect(), [x, y, px, py] = drag.pan;
    panX = clamp(px + (event.clientX - x) / box.width, 1 - zoom, 0);
    panY = clamp(py + (event.clientY - y) / box.height, 1 - zoom, 0);
    moveSheet();
    return;
  }
  const at = pixel(event);
  if (!drag.moved && Math.hypot(at[0] - drag.start[0], at[1] - drag.start[1]) < 3) return;
  drag.moved = true;
  setGrasp(dragged(at), { remember: false });
  requestAnimationFrame(() => setTimeout(() => measured.drawn.push(performance.now() - begun)));
});

function dragged(at) {
  if (drag.handle === 0) return { ...drag.before, u: drag.before.u + at[0] - drag.start[0], v: drag.before.v + at[1] - drag.start[1] };
  if (drag.handle === 1) return fromEnds(at, drag.ends[1]);
  if (drag.handle === 2) return fromEnds(drag.ends[0], at);
  return fromEnds(drag.start, at);
}

function drop(event) {
  fingers.delete(event.pointerId);
  pinch = null;
  if (!drag) return;
  const ending = drag;
  drag = null;
  if (owed) next();
  $("stage").classList.remove("panning");
  if (ending.pan) return;
  if (event.type === "pointercancel") { setGrasp(ending.before, { remember: false }); return; }
  if (ending.moved) history.push(ending.before);
  else if (ending.handle === null) { // a click: there, opened and turned as before
    const [u, v] = ending.start;
    setGrasp({ yaw_deg: 0, width: choices.max_width, ...ending.before, u, v });
  }
  showButtons();
}
$("stage").addEventListener("pointerup", drop);
$("stage").addEventListener("pointercancel", drop);
$("stage").addEventListener("wheel", (event) => {
  if (!event.ctrlKey && zoom === 1 && event.deltaY > 0) return; // the page scrolls on
  if (!event.ctrlKey && !$("stage").matches(":focus")) return;
  event.preventDefault();
  const box = $("stage").getBoundingClientRect();
  setZoom(zoom * Math.exp(-event.deltaY / 400), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
}, { passive: false });

const KEYS = {
  ArrowLeft: (g, far) => ({ u: g.u - (far ? 12 : 2) }), ArrowRight: (g, far) => ({ u: g.u + (far ? 12 : 2) }),
  ArrowUp: (g, far) => ({ v: g.v - (far ? 12 : 2) }), ArrowDown: (g, far) => ({ v: g.v + (far ? 12 : 2) }),
  q: (g) => ({ yaw_deg: wrap(g.yaw_deg + 5) }), e: (g) => ({ yaw_deg: wrap(g.yaw_deg - 5) }),
  w: (g) => ({ width: g.width + 0.002 }), s: (g) => ({ width: Math.max(0.004, g.width - 0.002) }),
};

$("stage").addEventListener("keydown", (event) => {
  if (!state?.picture || event.altKey || event.metaKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey) {
    if (key === "z") { undo(); event.preventDefault(); }
    return;
  }
  if (KEYS[key] && view !== "robot") {
    // The first key sets the jaws down in the middle.
    const p = state.picture;
    if (!grasp) setGrasp({ u: (p.width - 1) / 2, v: (p.height - 1) / 2, yaw_deg: 0, width: choices.max_width });
    else setGrasp({ ...grasp, ...KEYS[key](grasp, event.shiftKey) });
  } else if (key === "+" || key === "=") setZoom(zoom * 1.5, ...graspPlace());
  else if (key === "-") setZoom(zoom / 1.5, ...graspPlace());
  else if (key === "Enter") $("teach-form").requestSubmit($("teach").disabled ? undefined : $("teach"));
  else return;
  event.preventDefault();
});

for (const [id, name, scale] of [["g-u", "u", 1], ["g-v", "v", 1], ["g-a", "yaw_deg", 1], ["g-w", "width", 0.001]]) {
  $(id).addEventListener("input", () => {
    const value = $(id).valueAsNumber * scale, p = state?.picture;
    if (!p || !Number.isFinite(value)) return;
    const base = grasp ?? { u: (p.width - 1) / 2, v: (p.height - 1) / 2, yaw_deg: 0, width: choices.max_width };
    setGrasp({ ...base, [name]: name === "yaw_deg" ? wrap(value) : name === "width" ? Math.max(value, 0.001) : value });
  });
}

// -- what is shown of the state ---------------------------------------------------------------------

function status(text, kind) {
  if ($("link").textContent !== text) $("link").textContent = text;
  $("link").dataset.kind = kind;
}

function showStatus() {
  const job = running();
  if (state.simulator !== "ready") status(state.simulator === "starting" ? "starting the simulator" : "the simulator does not start", state.simulator === "starting" ? "busy" : "bad");
  else if (job) status(job.status === "stopping" ? `stopping: ${job.title}` : job.title, "busy");
  else status("ready", "good");
  const over = job && ["scene", "mesh", "picture"].includes(job.kind) ? "setting the table" : !state.picture ? "the simulator is starting" : "";
  const robot = job?.kind === "try_out" ? job.progress.phase ?? "" : "";
  $("over").textContent = over || robot;
  $("over").hidden = !$("over").textContent;
}

function showQueue() {
  const list = state.jobs.filter(open);
  $("queue-box").hidden = !list.length;
  patch($("queue"), list.map((job) => [`${job.number}${job.status}${job.progress.phase ?? ""}${job.progress.step ?? ""}`, () => {
    const p = job.progress, small = job.status === "queued" ? "waits" : job.status === "stopping" ? "stopping" : `${p.phase ?? "begins"}${p.steps ? `, ${p.step ?? 0} of ${p.steps}` : ""}`;
    const stop = el("button", { type: "button", textContent: "Cancel", ariaLabel: `Cancel ${job.title}`, disabled: job.status === "stopping" });
    stop.onclick = () => cancel(job.number);
    return el("li", {}, el("span", {}, job.title, el("small", { textContent: small })), stop);
  }]));
}
const cancel = (number) => doing(() => ask("POST", `api/jobs/${number}/cancel`));

/** Makes a list's items anew only where they have changed, so that focus and pictures stay. */
function patch(list, items) {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const wanted = items.map(([key, make]) => {
    const node = old.get(String(key)) ?? make();
    node.dataset.key = key;
    return node;
  });
  if (wanted.length !== list.children.length || wanted.some((node, i) => list.children[i] !== node)) {
    const label = list.contains(document.activeElement) ? document.activeElement.ariaLabel : null;
    list.replaceChildren(...wanted);
    if (label) [...list.querySelectorAll("button")].find((b) => b.ariaLabel === label)?.focus();
  }
}

function teaching() {
  const jobs = state.jobs.filter((j) => j.kind === "teach" && j.status !== "queued");
  return jobs.find(open) ?? jobs.at(-1);
}

function showLearning() {
  const job = teaching();
  $("learning").hidden = !job || (job.status === "failed" && !job.losses.length);
  if (!job) return;
  const p = job.progress, busy = open(job);
  const word = { done: `kept: ${job.result.kept}`, failed: "failed", cancelled: "cancelled", stopping: "stopping" }[job.status];
  $("fig-phase").textContent = word ?? p.phase ?? "begins";
  $("fig-step").textContent = p.step ? `${p.step} of ${p.steps}` : busy ? "–" : "none needed";
  $("fig-loss").textContent = job.losses.length ? job.losses.at(-1).toFixed(2) : "–";
  const seconds = job.status === "done" ? job.result.seconds : busy ? job.elapsed : p.seconds;
  $("fig-time").textContent = seconds != null ? `${seconds.toFixed(1)} s` : "–";
  const peak = job.result.peak_bytes ?? p.peak_bytes;
  $("fig-memory").textContent = peak ? `${(peak / 2 ** 20).toFixed(1)} MiB` : p.resident_bytes ? `${(p.resident_bytes / 2 ** 20).toFixed(0)} MiB` : "–";
  $("memory-name").textContent = peak || !p.resident_bytes ? "learning memory" : "memory of the whole process";
  $("fig-memory").title = p.resident_bytes ? `the whole process holds ${(p.resident_bytes / 2 ** 20).toFixed(0)} MiB` : "";
  drawCurve(job.losses, p.steps ?? 0);
}

function drawCurve(losses, steps) {
  const curve = $("curve");
  curve.style.display = losses.length ? "" : "none";
  if (!losses.length) return;
  const high = Math.max(...losses), low = Math.min(...losses), span = Math.max(high - low, 1e-3);
  const last = Math.max(steps, losses.length, 2) - 1;
  const points = losses.map((loss, i) => `${(600 * i / last).toFixed(1)},${(100 - 90 * (loss - low) / span).toFixed(1)}`);
  if (points.length === 1) points.push(points[0].replace(/^[^,]+/, "4"));
  curve.replaceChildren(svg("line", { x1: 0, y1: 105, x2: 600, y2: 105 }), svg("polyline", { points: points.join(" ") }));
  curve.setAttribute("aria-label", `Loss, step ${losses.length}: ${losses.at(-1).toFixed(2)}, from ${losses[0].toFixed(2)}`);
}

function showHeat() {
  const layer = $("heat-layer");
  const job = state?.jobs.filter((j) => j.heat && j.picture === pictureNumber && ["teach", "find"].includes(j.kind)).at(-1);
  const wanted = job && $("heat").checked && view !== "robot";
  layer.hidden = !wanted;
  const key = job ? `${job.number}/${job.heat}` : "";
  if (!wanted || key === heatKey) return;
  heatKey = key;
  layer.src = `api/jobs/${job.number}/heat.png?${job.heat}`;
}

let shownRun = 0;
function showResults() {
  const job = state.jobs.filter((j) => j.kind === "try_out" && (j.trials.length || j.status === "running")).at(-1);
  $("results").hidden = !job || (!job.trials.length && job.status !== "running");
  const live = job?.status === "running";
  const robot = document.querySelector("[data-view=robot]");
  robot.disabled = !live && !robotPicture;
  // A grasp that is being drawn is not taken from under the pointer: the robot is shown after it.
  if (live && shownRun !== job.number && !drag) { shownRun = job.number; show("robot"); }
  if (!live && shownRun && view === "robot" && job?.number === shownRun && job.status !== "queued") {
    shownRun = 0;
    if (!calm) setTimeout(() => { if (view === "robot") show("color"); }, 1500); else show("color");
  }
  if (!job) return;
  patch($("scores"), job.scores.filter((s) => s.trials).map((s) => [`${s.skill}${s.successes}/${s.trials}`, () => score(s)]));
  patch($("strip"), job.trials.map((t) => [`${job.number}${t.picture}`, () => trial(job, t)]));
  patch($("downloads"), job.status === "done" ? [
    [`v${job.number}`, () => el("a", { className: "button", href: `api/runs/${job.result.run}/trials.mp4`, download: "trials.mp4", textContent: "Download the video" })],
    [`r${job.number}`, () => el("a", { className: "button", href: `api/runs/${job.result.run}/report.html`, download: "report.html", textContent: "Download the report" })],
  ] : []);
}

function score(s) {
  const rate = 100 * s.successes / s.trials, [low, high] = [100 * s.low, 100 * s.high];
  const label = `${s.skill}: ${s.successes} of ${s.trials}, 95 % interval ${low.toFixed(0)} to ${high.toFixed(0)} %`;
  const meter = svg("svg", { class: "meter", viewBox: "0 0 100 16", preserveAspectRatio: "none", role: "img", "aria-label": label });
  meter.append(svg("rect", { class: "track", x: 0, y: 3, width: 100, height: 10 }), svg("rect", { class: "fill", x: 0, y: 3, width: rate, height: 10 }),
    svg("path", { class: "whisker", d: `M${low} 8H${high}M${low} 4.5v7M${high} 4.5v7` }));
  return el("div", { className: "score" }, el("p", {}, el("b", { textContent: s.successes }), ` of ${s.trials} `,
    el("small", { textContent: `${s.skill}, ${low.toFixed(0)}–${high.toFixed(0)} %` })), meter);
}

function trial(job, t) {
  const sign = { good: "✓", partly: "~", bad: "×" }[t.kind];
  const picture = el("img", { src: `api/runs/${job.number}/${t.picture}`, width: 448, height: 448, loading: "lazy", alt: `Trial ${t.trial}, ${t.skill}: ${t.label}` });
  const first = el("p", {}, el("span", { textContent: t.trial }), el("b", { textContent: `${sign} ${t.label}` }));
  const more = [t.error, t.kind === "good" ? "" : t.advice].filter(Boolean).join(": ");
  const who = job.scores.length > 1 ? `${t.skill}. ` : "";
  return el("li", { className: t.kind }, picture, first, el("p", { textContent: who + more }));
}

function showLibrary() {
  const cards = state.skills;
  $("library-note").textContent = cards.length ? `${cards.length} taught` : "";
  patch($("cards"), cards.length ? cards.map((c) => [`${c.name}@${c.changed}`, () => card(c)])
    : [["none", () => el("li", { className: "none", textContent: "No skill yet. Draw a grasp on the picture and teach it; it will stand here. A .skill file can be dropped too." })]]);
  const simulated = cards.filter((c) => !c.broken);
  const names = simulated.map((c) => c.name);
  const want = $("skill-a").dataset.want;
  if (want && names.includes(want)) delete $("skill-a").dataset.want;
  fill($("skill-a"), names, want && names.includes(want) ? want : $("skill-a").value);
  const object = cards.find((c) => c.name === $("skill-a").value)?.object;
  const peers = simulated.filter((c) => c.name !== $("skill-a").value && object && c.object === object).map((c) => c.name);
  fill($("skill-b"), ["", ...peers], $("skill-b").value, ["nothing", ...peers]);
}

function card(c) {
  const url = `api/skills/${encodeURIComponent(c.name)}`;
  const button = (text, act) => {
    const b = el("button", { type: "button", className: "link", textContent: text, ariaLabel: `${text} ${c.name}` });
    b.onclick = act;
    return b;
  };
  const told = c.broken ? "cannot be read; teach it again" : `${c.rule}, kept: ${c.kept}, ${c.seconds.toFixed(1)} s${c.object ? "" : ", own picture"}`;
  return el("li", {},
    el("img", { src: `${url}/thumbnail.png?${c.changed}`, width: 256, height: 256, loading: "lazy", alt: c.broken ? "" : `${c.name}: the demonstrated grasp` }),
    el("p", { className: "name", textContent: c.name }), el("p", { className: "fine", textContent: told }),
    el("div", { className: "row" }, button("Rename", (event) => rename(c, event.target)),
      el("a", { className: "link-a", href: `${url}/export`, download: `${c.name}.skill`, textContent: "Export", ariaLabel: `Export ${c.name}` }),
      button("Delete", () => remove(c))));
}

function rename(c, button) {
  const item = button.closest("li"), name = item.querySelector(".name");
  const field = el("input", { value: c.name, maxLength: 60, ariaLabel: `New name of ${c.name}` });
  const done = async (keep) => {
    field.onblur = null;
    field.replaceWith(name);
    if (keep && field.value && field.value !== c.name) await doing(() => ask("PATCH", `api/skills/${encodeURIComponent(c.name)}`, { name: field.value }));
  };
  field.onkeydown = (event) => { if (event.key === "Enter") done(true); else if (event.key === "Escape") done(false); };
  field.onblur = () => done(true);
  name.replaceWith(field);
  field.select();
}

async function remove(c) {
  const told = await doing(() => ask("DELETE", `api/skills/${encodeURIComponent(c.name)}`));
  if (told) toast(`Deleted ${c.name}.`, "Undo", () => doing(() => ask("POST", `api/trash/${told.undo}/restore`)));
}

function showButtons() {
  const job = state ? teaching() : null, busy = job && open(job);
  const wrong = !grasp || fault(grasp);
  $("teach").disabled = !state?.picture || Boolean(wrong) || state.simulator === "broken";
  $("cancel").hidden = !busy;
  $("cancel").disabled = job?.status === "stopping";
  $("undo").disabled = !history.length;
  const chosen = state?.skills.find((c) => c.name === $("skill-a").value);
  $("try").disabled = !chosen?.object;
  $("try").title = chosen && !chosen.object ? "It was shown on your own picture, which no simulated object fits: find it on another picture" : "";
  $("find").disabled = !chosen || !state?.picture;
}

// -- what a person does ------------------------------------------------------------------------------

function suggestName() {
  const base = (state?.picture?.object ?? "mine").replace(/_?\d+$/, "") || "skill";
  const taken = new Set(state?.skills.map((c) => c.name));
  for (const job of state?.jobs ?? []) if (job.kind === "teach") taken.add(job.title.replace(/^teach /, ""));
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base}-${n}`;
  $("name").value = name;
}

$("teach-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!grasp || fault(grasp)) { say(grasp ? fault(grasp) : "Draw a grasp first: drag across a thing.", "bad"); return; }
  if (!$("name").value.trim()) { say("Give the skill a name.", "bad"); $("name").focus(); return; }
  doing(async () => {
    await ask("POST", "api/teach", { picture: pictureNumber, grasp, name: $("name").value.trim(), rule: $("rule").value, always: $("always").checked });
    ownName = false;
    suggestName();
    if (view === "robot") show("color");
    say("Teaching. The brighter a spot, the surer the net is.");
  });
});
$("cancel").onclick = () => { const job = teaching(); if (job) cancel(job.number); };
$("name").oninput = () => { ownName = true; };
$("new-scene").onclick = () => doing(async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const job = await ask("POST", "api/scene", { object: $("object").value.trim(), tier: $("tier").value, seed });
  laid.add(job.number);
});
$("object").onkeydown = (event) => { if (event.key === "Enter") { event.preventDefault(); $("new-scene").click(); } };
$("object").onchange = () => { if (choices.objects.some((o) => o.id === $("object").value)) $("new-scene").click(); };
$("rule").onchange = $("tier").onchange = notes;
$("skill-a").onchange = () => { showLibrary(); showButtons(); };
$("try").onclick = () => doing(async () => {
  const skills = [$("skill-a").value, $("skill-b").value].filter(Boolean);
  await ask("POST", "api/try", { skills, tier: $("try-tier").value, trials: clamp($("trials").valueAsNumber || 10, 1, 50) });
});
$("find").onclick = () => doing(async () => { await ask("POST", "api/find", { skill: $("skill-a").value, picture: pictureNumber }); if (view === "robot") show("color"); });
$("heat").onchange = showHeat;
$("undo").onclick = undo;
$("zoom-in").onclick = () => setZoom(zoom * 1.5, ...graspPlace());
$("zoom-out").onclick = () => setZoom(zoom / 1.5, ...graspPlace());
for (const button of document.querySelectorAll("[data-view]")) button.onclick = () => show(button.dataset.view);

async function opened(list) {
  const all = [...list];
  if (!all.length) return;
  await doing(async () => {
    for (const file of all) await readable(file);
    const { drop } = await ask("POST", "api/drops");
    for (const file of all) await ask("PUT", `api/drops/${drop}/${encodeURIComponent(file.name)}`, file);
    const job = await ask("POST", `api/drops/${drop}/open`, { tier: $("tier").value || "same" });
    laid.add(job.number);
  });
}
/** Tells what the browser itself could only call a broken connection. */
async function readable(file) {
  if (file.size > choices.max_upload) throw new Error(`${file.name} is larger than ${choices.max_upload / 2 ** 20} MiB; drop a smaller file`);
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Error(`${file.name} cannot be read; drop the files themselves, not their folder`);
  });
}
$("files").onchange = async () => { await opened($("files").files); $("files").value = ""; };
let depthOfDrag = 0;
addEventListener("dragenter", (event) => { event.preventDefault(); depthOfDrag += 1; document.body.classList.add("dropping"); });
addEventListener("dragleave", () => { depthOfDrag -= 1; if (depthOfDrag <= 0) document.body.classList.remove("dropping"); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depthOfDrag = 0;
  document.body.classList.remove("dropping");
  opened(event.dataTransfer.files);
});

// -- saying ------------------------------------------------------------------------------------------

const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
function say(text, kind = "") {
  $("hint").textContent = text;
  $("hint").dataset.kind = kind;
}

function toast(text, action, act) {
  const node = el("div", { className: "toast" }, el("span", { textContent: text }));
  if (action) {
    const button = el("button", { type: "button", textContent: action });
    button.onclick = () => { node.remove(); act(); };
    node.append(button);
  }
  $("toasts").append(node);
  setTimeout(() => node.remove(), action ? 15000 : 8000);
  while ($("toasts").children.length > 4) $("toasts").firstChild.remove();
}

connect();
