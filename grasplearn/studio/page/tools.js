// What every other file uses: elements, numbers, sentences, lists that are shown.

export const $ = (id) => document.getElementById(id);
export const el = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
export const svg = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

export const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
export const mm = (metres) => Math.round(metres * 1000);

export function fill(select, names, value, labels = names) {
  const same = select.options.length === names.length && names.every((n, i) => select.options[i].value === n);
  if (!same) select.replaceChildren(...names.map((n, i) => el("option", { value: n, textContent: labels[i] })));
  select.value = names.includes(value) ? value : names[0] ?? "";
}

/** Makes a list's items anew only where they have changed, so that focus and pictures stay. */
export function patch(list, items) {
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
