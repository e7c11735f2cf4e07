// The panel's fields and buttons: what may be chosen, what may be pressed.

import { fault } from "./geometry.js";
import { isOpen, model, teaching } from "./model.js";
import { ask, doing } from "./talk.js";
import { $, el, fill, sentence } from "./tools.js";

export async function fetchChoices() {
  const told = await doing(() => ask("GET", "api/choices"));
  if (!told) return;
  model.choices = told;
  $("objects").replaceChildren(...told.objects.map((o) => el("option", { value: o.id, label: o.split })));
  for (const id of ["tier", "try-tier"]) fill($(id), told.tiers.map((t) => t.name), $(id).value || "same");
  fill($("rule"), told.rules.map((r) => r.name), $("rule").value || "static-sgm");
  notes();
}

export function notes() {
  const rule = model.choices.rules.find((r) => r.name === $("rule").value);
  $("rule-note").textContent = rule ? sentence(rule.cost) : "";
  $("rule-note").title = $("rule").title = rule ? sentence(rule.note) : "";
  const tier = model.choices.tiers.find((t) => t.name === $("tier").value);
  $("tier-note").textContent = tier ? tier.note : "";
}

export function suggestName() {
  const base = (model.state?.picture?.object ?? "mine").replace(/_?\d+$/, "") || "skill";
  const taken = new Set(model.state?.skills.map((c) => c.name));
  for (const job of model.state?.jobs ?? []) if (job.kind === "teach") taken.add(job.title.replace(/^teach /, ""));
  let name = base;
  for (let n = 2; taken.has(name); n++) name = `${base}-${n}`;
  $("name").value = name;
}

export function showButtons() {
  const job = model.state ? teaching() : null, busy = job && isOpen(job);
  const wrong = !model.grasp || fault(model.grasp);
  $("teach").disabled = !model.state?.picture || Boolean(wrong) || model.state.simulator === "broken";
  $("cancel").hidden = !busy;
  $("cancel").disabled = job?.status === "stopping";
  $("undo").disabled = !model.history.length;
  const chosen = model.state?.skills.find((c) => c.name === $("skill-a").value);
  $("try").disabled = !chosen?.object;
  $("try").title = chosen && !chosen.object ? "It was shown on your own picture, which no simulated object fits: find it on another picture" : "";
  $("find").disabled = !chosen || !model.state?.picture;
}
