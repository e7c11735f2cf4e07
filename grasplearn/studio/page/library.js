// The cards of the skills that are taught.

import { model } from "./model.js";
import { toast } from "./say.js";
import { ask, doing } from "./talk.js";
import { $, el, fill, patch } from "./tools.js";

export function showLibrary() {
  const cards = model.state.skills;
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
