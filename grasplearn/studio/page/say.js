// What is said to a person: how the studio is, what to do next, what has happened.

import { $, el } from "./tools.js";

export function status(text, kind) {
  if ($("link").textContent !== text) $("link").textContent = text;
  $("link").dataset.kind = kind;
}

export function say(text, kind = "") {
  $("hint").textContent = text;
  $("hint").dataset.kind = kind;
}

export function toast(text, action, act) {
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
