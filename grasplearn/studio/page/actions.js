// What a person does with the panel, the buttons and files that are dropped.

import { notes, showButtons, suggestName } from "./controls.js";
import { fault } from "./geometry.js";
import { undo } from "./grasp.js";
import { showLibrary } from "./library.js";
import { model, teaching } from "./model.js";
import { cancel } from "./panels.js";
import { say } from "./say.js";
import { graspPlace, setZoom, show, showHeat } from "./stage.js";
import { ask, doing } from "./talk.js";
import { $, clamp } from "./tools.js";

$("teach-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!model.grasp || fault(model.grasp)) { say(model.grasp ? fault(model.grasp) : "Draw a grasp first: drag across a thing.", "bad"); return; }
  if (!$("name").value.trim()) { say("Give the skill a name.", "bad"); $("name").focus(); return; }
  doing(async () => {
    await ask("POST", "api/teach", { picture: model.pictureNumber, grasp: model.grasp, name: $("name").value.trim(), rule: $("rule").value, always: $("always").checked });
    model.ownName = false;
    suggestName();
    if (model.view === "robot") show("color");
    say("Teaching. The brighter a spot, the surer the net is.");
  });
});
$("cancel").onclick = () => { const job = teaching(); if (job) cancel(job.number); };
$("name").oninput = () => { model.ownName = true; };
$("new-scene").onclick = () => doing(async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const job = await ask("POST", "api/scene", { object: $("object").value.trim(), tier: $("tier").value, seed });
  model.laid.add(job.number);
});
$("object").onkeydown = (event) => { if (event.key === "Enter") { event.preventDefault(); $("new-scene").click(); } };
$("object").onchange = () => { if (model.choices.objects.some((o) => o.id === $("object").value)) $("new-scene").click(); };
$("rule").onchange = $("tier").onchange = notes;
$("skill-a").onchange = () => { showLibrary(); showButtons(); };
$("try").onclick = () => doing(async () => {
  const skills = [$("skill-a").value, $("skill-b").value].filter(Boolean);
  await ask("POST", "api/try", { skills, tier: $("try-tier").value, trials: clamp($("trials").valueAsNumber || 10, 1, 50) });
});
$("find").onclick = () => doing(async () => { await ask("POST", "api/find", { skill: $("skill-a").value, picture: model.pictureNumber }); if (model.view === "robot") show("color"); });
$("heat").onchange = showHeat;
$("undo").onclick = undo;
$("zoom-in").onclick = () => setZoom(model.zoom * 1.5, ...graspPlace());
$("zoom-out").onclick = () => setZoom(model.zoom / 1.5, ...graspPlace());
for (const button of document.querySelectorAll("[data-view]")) button.onclick = () => show(button.dataset.view);

async function opened(list) {
  const all = [...list];
  if (!all.length) return;
  await doing(async () => {
    for (const file of all) await readable(file);
    const { drop } = await ask("POST", "api/drops");
    for (const file of all) await ask("PUT", `api/drops/${drop}/${encodeURIComponent(file.name)}`, file);
    const job = await ask("POST", `api/drops/${drop}/open`, { tier: $("tier").value || "same" });
    model.laid.add(job.number);
  });
}

/** Tells what the browser itself could only call a broken connection. */
async function readable(file) {
  if (file.size > model.choices.max_upload) throw new Error(`${file.name} is larger than ${model.choices.max_upload / 2 ** 20} MiB; drop a smaller file`);
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
