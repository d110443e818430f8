// A conversation, as the proxy has read it from whatever dialect it was in.
import { h } from "./dom.js";
import { tree } from "./json.js";

const LONG = 20_000;  // characters of a text until the rest has to be asked for

export function chat(talk) {
  const shown = [];
  if (talk.tools?.length) shown.push(h("details", null, h("summary", null, `${talk.tools.length} tools`), talk.tools.map(tool)));
  const rest = Object.entries(talk.parameters || {});
  if (rest.length) shown.push(h("div", { class: "chips" }, rest.map(([name, value]) => h("code", null, `${name} ${short(value)}`))));
  if (talk.failure) shown.push(h("div", { class: "failure" }, h("b", null, String(talk.failure.code ?? talk.failure.type ?? "error")), ` ${talk.failure.message ?? ""}`));
  shown.push(...(talk.turns || []).map(turn));
  return shown.length ? shown : [h("p", { class: "note" }, "Nothing was said.")];
}

function turn(said) {
  const marks = [said.role, said.name, said.answers && `answers ${said.answers}`, said.reason && `ended: ${said.reason}`];
  const known = ["system", "developer", "user", "assistant", "tool"].includes(said.role) ? said.role : "";
  return h("article", { class: `turn ${known}` }, h("header", null, marks.filter(Boolean).join(" · ")),
    said.reasoning && h("details", { class: "reasoning" }, h("summary", null, `Reasoning (${said.reasoning.length} characters)`), text(said.reasoning)),
    said.parts.map(part), said.calls.map(call));
}

function part(said) {
  if (said.kind === "json") return tree(said.value);
  return said.kind === "refusal" ? h("div", { class: "failure" }, text(said.text)) : text(said.text);
}

function text(said) {
  const shown = h("p", { class: "text", dir: "auto" }, said.slice(0, LONG));
  if (said.length <= LONG) return shown;
  const rest = h("button", { type: "button", onclick: () => { shown.textContent = said; rest.remove(); } }, `all ${said.length} characters`);
  return h("div", null, shown, rest);
}

function call(made) {
  let inside;
  try { inside = tree(JSON.parse(made.arguments)); } catch { inside = h("pre", null, made.arguments); }
  return h("div", { class: "call" }, h("b", null, `${made.name ?? "?"}()`), made.id ? h("small", { class: "dim" }, ` ${made.id}`) : null, inside);
}

const tool = (offered) => h("div", { class: "call" }, h("b", null, offered.name), h("div", { class: "dim" }, offered.description));

function short(value) {
  const said = typeof value === "string" ? value : JSON.stringify(value);
  return said.length > 80 ? `${said.slice(0, 80)}…` : said;
}
