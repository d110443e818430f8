// JSON as a tree that opens as far as somebody looks, with the places that differ marked.
import { h } from "./dom.js";

const LONG = 1200;  // characters of a text until it is cut
const MANY = 200;  // items of a list until the rest has to be asked for
const OPEN = 4;  // levels that are open

// Numbers as they were written: 1e400, 0.10 and 2^63 are not what JavaScript makes of them.
class Exact { constructor(source) { this.source = source; } }

export function parse(text) {
  return JSON.parse(text, (key, value, context) =>
    typeof value === "number" && context?.source !== undefined && String(value) !== context.source ? new Exact(context.source) : value);
}

export function tree(value, marks = {}) {
  const above = new Set();  // whatever has a mark inside is open
  for (const place of Object.keys(marks)) {
    for (let end = place.lastIndexOf("/"); end >= 0; end = place.lastIndexOf("/", end - 1)) {
      above.add(place.slice(0, end));
      if (!end) break;
    }
  }
  return h("div", { class: "json" }, node(value, null, "", { marks, above }, 0));
}

const pointer = (top, key) => `${top}/${String(key).replace(/~/g, "~0").replace(/\//g, "~1")}`;

function node(value, key, at, found, depth) {
  const mark = found.marks[at];
  const name = key === null ? [] : [h("span", { class: "k" }, typeof key === "number" ? String(key) : JSON.stringify(key)), ": "];
  const isList = Array.isArray(value);
  if (value === null || typeof value !== "object" || value instanceof Exact || !Object.keys(value).length) {
    return h("div", { class: `leaf ${mark || ""}`, title: mark }, name, leaf(value));
  }
  const entries = isList ? value.map((item, index) => [index, item]) : Object.entries(value);
  const says = isList ? `[ ${entries.length} ]` : `{ ${entries.length} }`;
  const box = h("details", { class: mark, title: mark }, h("summary", null, name, h("span", { class: "dim" }, says)));
  const fill = () => {
    if (box.childElementCount > 1) return;
    more(box, entries, at, found, depth);
  };
  box.addEventListener("toggle", () => box.open && fill());
  if (depth < OPEN || found.above.has(at)) { fill(); box.open = true; }
  return box;
}

function more(box, entries, at, found, depth) {
  const [now, later] = [entries.slice(0, MANY), entries.slice(MANY)];
  box.append(...now.map(([key, item]) => node(item, key, pointer(at, key), found, depth + 1)));
  if (!later.length) return;
  const rest = h("button", { type: "button", onclick: () => { rest.remove(); more(box, later, at, found, depth); } }, `${later.length} more`);
  box.append(rest);
}

function leaf(value) {
  if (value instanceof Exact) return h("span", { class: "n" }, value.source);
  if (typeof value === "string") return text(value);
  return h("span", { class: "n" }, JSON.stringify(value));
}

function text(value) {
  const shown = h("span", { class: "s" }, JSON.stringify(value.slice(0, LONG)));
  if (value.length <= LONG) return shown;
  const whole = h("button", { type: "button", onclick: () => { shown.textContent = JSON.stringify(value); whole.remove(); } }, `all ${value.length} characters`);
  return h("span", null, shown, " ", whole);
}
