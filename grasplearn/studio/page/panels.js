// What is shown of the state beside and below the stage: status, queue, learning, trials.

import { isOpen, model, running, teaching } from "./model.js";
import { status } from "./say.js";
import { show } from "./stage.js";
import { ask, doing } from "./talk.js";
import { $, calm, el, patch, svg } from "./tools.js";

export function showStatus() {
  const job = running();
  if (model.state.simulator !== "ready") status(model.state.simulator === "starting" ? "starting the simulator" : "the simulator does not start", model.state.simulator === "starting" ? "busy" : "bad");
  else if (job) status(job.status === "stopping" ? `stopping: ${job.title}` : job.title, "busy");
  else status("ready", "good");
  const over = job && ["scene", "mesh", "picture"].includes(job.kind) ? "setting the table" : !model.state.picture ? "the simulator is starting" : "";
  const robot = job?.kind === "try_out" ? job.progress.phase ?? "" : "";
  $("over").textContent = over || robot;
  $("over").hidden = !$("over").textContent;
}

export function showQueue() {
  const list = model.state.jobs.filter(isOpen);
  $("queue-box").hidden = !list.length;
  patch($("queue"), list.map((job) => [`${job.number}${job.status}${job.progress.phase ?? ""}${job.progress.step ?? ""}`, () => {
    const p = job.progress, small = job.status === "queued" ? "waits" : job.status === "stopping" ? "stopping" : `${p.phase ?? "begins"}${p.steps ? `, ${p.step ?? 0} of ${p.steps}` : ""}`;
    const stop = el("button", { type: "button", textContent: "Cancel", ariaLabel: `Cancel ${job.title}`, disabled: job.status === "stopping" });
    stop.onclick = () => cancel(job.number);
    return el("li", {}, el("span", {}, job.title, el("small", { textContent: small })), stop);
  }]));
}
export const cancel = (number) => doing(() => ask("POST", `api/jobs/${number}/cancel`));

export function showLearning() {
  const job = teaching();
  $("learning").hidden = !job || (job.status === "failed" && !job.losses.length);
  if (!job) return;
  const p = job.progress, busy = isOpen(job);
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

let shownRun = 0;
export function showResults() {
  const job = model.state.jobs.filter((j) => j.kind === "try_out" && (j.trials.length || j.status === "running")).at(-1);
  $("results").hidden = !job || (!job.trials.length && job.status !== "running");
  const live = job?.status === "running";
  const robot = document.querySelector("[data-view=robot]");
  robot.disabled = !live && !model.robotPicture;
  // A grasp that is being drawn is not taken from under the pointer: the robot is shown after it.
  if (live && shownRun !== job.number && !model.drag) { shownRun = job.number; show("robot"); }
  if (!live && shownRun && model.view === "robot" && job?.number === shownRun && job.status !== "queued") {
    shownRun = 0;
    if (!calm) setTimeout(() => { if (model.view === "robot") show("color"); }, 1500); else show("color");
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
