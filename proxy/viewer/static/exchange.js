// One exchange, or two beside each other.
import { askAgain, copy } from "./actions.js";
import { go, wanted } from "./address.js";
import { ask, one } from "./api.js";
import { chat } from "./chat.js";
import { stalls, strip } from "./charts.js";
import { $, become, button, h } from "./dom.js";
import { bytes, clock, count, day, moment, ms, outcomeClass, way } from "./format.js";
import { parse, tree } from "./json.js";
import { models, outcome, status, stopper, ways } from "./rows.js";

export const TABS = ["chat", "json", "raw", "headers", "timing"];
const NAMES = { chat: "Chat", json: "JSON", raw: "Raw", headers: "Headers", timing: "Timing" };
const SOON = 700;  // ms until another look at one that is under way

let seen = null;
let turn = 0;

export async function show(id, other) {
  const mine = ++turn, place = $("one");
  if (!seen || seen.logging_id !== id || (seen.other?.logging_id || "") !== other) {
    if (place.dataset.id !== id) place.replaceChildren(h("p", { class: "empty" }, "…"));
    place.dataset.id = id;
    seen = null;
    try {
      const found = await ask(one(id) + "/view" + (other ? `?with=${encodeURIComponent(other)}` : ""));
      if (other) found.other = await ask(`${one(other)}/view`);
      if (mine !== turn) return;
      if (found.under_way) {
        wait(place, found.under_way);
        setTimeout(() => { if (mine === turn) show(id, other); }, SOON);
        return;
      }
      seen = found;
    } catch (error) {
      if (mine === turn) place.replaceChildren(h("p", { class: "empty" }, `${error.message} `, back()));
      return;
    }
  }
  const focused = place.contains(document.activeElement) && document.activeElement.id;
  place.replaceChildren(...(seen.other ? beside(seen, seen.other) : alone(seen)));
  drawStrip();
  if (focused) $(focused)?.focus(); else place.focus({ preventScroll: true });
}

export const forget = () => { turn++; seen = null; };
addEventListener("redraw", drawStrip);

// One that is under way is looked at again and again, and its buttons can be pressed meanwhile.
function wait(place, row) {
  const made = h("div", { "data-waiting": row.logging_id },
    h("div", { class: "head" }, back(), h("h1", null, models(row)), outcome(row, true), h("span", { class: "dim" }, ways(row)), h("span", { class: "grow" }), stopper(row.logging_id)),
    h("p", { class: "empty" }, "Under way for ", h("b", { "data-since": row.timestamp }, ms(row.elapsed_ms)), `, ${count(row.chunks)} frames so far.`));
  const old = place.firstElementChild;
  if (old?.dataset.waiting === row.logging_id) become(old, made);
  else place.replaceChildren(made);
}

const back = () => h("button", { type: "button", id: "back", onclick: () => go({ id: "", with: "", tab: "" }), title: "Back to the list (Esc)" }, "← List");

function alone(seen) {
  const facts = seen.facts, tab = TABS.includes(wanted().tab) ? wanted().tab : "chat";
  return [head(seen), trouble(facts), factsOf(seen), seen.stream && stripOf(seen.stream), tabs(tab, seen), panes(tab, seen)].filter(Boolean);
}

function head(seen) {
  const { facts, recipes, repeat } = seen;
  const none = recipes ? null : repeat.why_not || "This ask is too long to be pasted; the download has all of it.";
  const copies = [["curl", "Copy as curl"], ["python", "Copy as Python"]].map(([name, text]) => h("button", { type: "button", id: `copy-${name}`, disabled: Boolean(none), title: none, onclick: () => copy(recipes[name], name) }, text));
  const again = h("button", { type: "button", id: "again", disabled: Boolean(repeat.why_not), title: repeat.why_not || null, onclick: () => askAgain(seen) }, "Ask again …");
  return h("div", { class: "head" }, back(), h("h1", null, models(facts)), outcome(facts), h("span", null, status(facts)),
    h("span", { class: "dim" }, ways(facts)), h("span", { class: "grow" }), copies, again,
    h("a", { class: "button", id: "download", href: `${one(seen.logging_id)}/download`, download: true }, "Download"));
}

function trouble(facts) {
  if (!facts.error) return null;
  return h("div", { class: "failure" }, h("b", null, facts.error.code || facts.error.type || "error"), ` ${facts.error.message ?? ""}`);
}

function factsOf({ facts, logging_id: id }) {
  const usage = facts.usage || {}, at = moment(facts.timestamp);
  const told = [
    ["Arrived", `${day(at)}${clock(at)}`], ["Path", `${facts.method} ${facts.path}`], ["First token", ms(facts.ttft_ms)], ["Total", ms(facts.duration_ms)],
    ["The proxy's own time", ms(facts.overhead_ms)], ["Tokens in / out", `${count(usage.prompt_tokens ?? usage.input_tokens)} / ${count(usage.completion_tokens ?? usage.output_tokens)}`],
    ["Frames", count(facts.chunks)], ["Attempts", (facts.attempts || []).map((one) => `${way(one.mode)} ${one.code || one.status || ""} ${ms(one.ms)}`).join(", ") || "none"],
    ["Repairs", (facts.repairs || []).join(", ")], ["Dropped", (facts.dropped || []).join(", ")], ["Id", id],
  ];
  return h("dl", { class: "facts" }, told.filter(([, value]) => value).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

function stripOf(stream) {
  const { gaps, limit } = stalls(stream.at), longest = Math.max(...gaps, 0), where = gaps.indexOf(longest);
  const many = gaps.filter((gap) => gap >= limit).length;
  const said = gaps.length ? `longest ${ms(longest)} at +${ms(stream.at[where])}${many ? `, ${many} ${many > 1 ? "stalls" : "stall"}` : ""}` : "one batch";
  return h("figure", { class: "strip" }, h("figcaption", null, h("b", null, "Gaps between the provider's frames"), h("span", { class: many ? "wrong" : "dim" }, said), h("output")),
    h("div", { id: "strip", role: "img", "aria-label": `Gaps between the provider's frames: ${said}` }));
}

function drawStrip() {
  if (seen?.stream?.at.length > 1 && $("strip")) strip($("strip"), seen.stream);
}

function tabs(tab, seen) {
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "How it is shown" }, TABS.map((name, index) =>
    h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(name === tab), "aria-controls": "panes", tabindex: name === tab ? "0" : "-1", title: `${index + 1}`, onclick: () => go({ tab: name }, true) }, NAMES[name])));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length];
    $(`tab-${tab}`).focus();
    go({ tab: next }, true);
    $(`tab-${next}`).focus();
  });
  if (tab === "json" && seen.asked) bar.append(h("span", { class: "legend dim" }, "on its way: ", h("span", { class: "removed" }, "removed"), h("span", { class: "changed" }, "changed"), h("span", { class: "added" }, "added")));
  return bar;
}

function panes(tab, seen) {
  const { client, provider } = seen;
  const title = seen.stream ? "Provider's frames" : "Provider's answer";
  const fill = (side, what, marks) => () => inside(tab, seen, side, what, marks);
  return h("div", { class: "panes", id: "panes", role: "tabpanel", "aria-labelledby": `tab-${tab}` },
    pane("Client's ask", client?.ask, fill(client, "ask", seen.asked?.before)),
    pane("Provider's ask", provider?.ask, fill(provider, "ask", seen.asked?.after), seen.asked?.after),
    pane(title, provider?.answer, fill(provider, "answer", seen.answered?.before)),
    pane("Client's answer", client?.answer, fill(client, "answer", seen.answered?.after), seen.answered?.after));
}

function pane(title, half, fill, marks) {
  const many = marks ? Object.keys(marks).length : 0, differs = marks && (many ? `${many} ${many > 1 ? "differences" : "difference"} · ` : "the same · ");
  return h("section", { class: "pane", "aria-label": title }, h("h2", null, title, h("small", { class: "dim" }, differs, half ? bytes(half.bytes) : "")),
    h("div", { class: "body", tabindex: "0" }, half ? fill() : h("p", { class: "note" }, "This line is missing in the journal.")));
}

function inside(tab, seen, side, what, marks) {
  const half = side[what], isProviders = side === seen.provider && what === "answer";
  if (tab === "headers") return headers(side.headers?.[what]);
  if (tab === "timing") return timing(seen, side, what);
  const first = isProviders && seen.stream ? [framesOf(seen.stream, tab === "raw")] : [];
  if (half.raw === "null") return [...first, h("p", { class: "note" }, what === "ask" ? "Nothing was sent." : "Nothing came.")];
  if (half.cut) return [...first, h("p", { class: "note" }, `The first ${count(half.raw.length)} characters; the download has all of it.`), h("pre", null, half.raw)];
  if (tab === "raw") return [...first, h("pre", null, half.raw)];
  if (tab === "chat" && half.chat) return [...first, ...chat(half.chat)];
  return [...first, tab === "chat" ? h("p", { class: "note" }, "This is no conversation; here is its JSON.") : null, tree(parse(half.raw), marks || {})];
}

function framesOf(stream, open) {
  const frames = stream.frames.reduce((sum, many) => sum + many, 0), end = stream.at[stream.at.length - 1];
  const box = h("details", { open }, h("summary", null, `${count(frames)} frames from +${ms(stream.at[0])} to +${ms(end)}`));
  const fill = () => box.childElementCount > 1 || box.append(listed(stream));
  box.addEventListener("toggle", () => box.open && fill());
  if (open) fill();
  return box;
}

function listed(stream) {
  const { gaps, limit } = stalls(stream.at), most = 2000;
  let next = 0;
  const items = stream.at.slice(0, most).map((at, index) => {
    const many = stream.frames[index], texts = stream.texts?.slice(next, next + many);
    next += many;
    const said = texts?.length ? texts.join("").trimEnd() : `${many} ${many > 1 ? "frames" : "frame"}`;
    return h("li", { class: index && gaps[index - 1] >= limit ? "stall" : null }, h("b", null, `+${ms(at)}`), h("pre", null, said));
  });
  const note = stream.texts ? null : h("p", { class: "note" }, "Only when they came is known; --log_frames keeps what they said.");
  const rest = stream.at.length > most ? h("p", { class: "note" }, `and ${stream.at.length - most} more batches`) : null;
  return h("div", null, note, h("ol", { class: "frames" }, items), rest);
}

function headers(pairs) {
  if (!pairs) return h("p", { class: "note" }, "The journal has no headers here.");
  return h("table", { class: "pairs" }, h("tbody", null, pairs.map(([name, value]) => h("tr", null, h("td", null, name), h("td", null, value)))));
}

function timing(seen, side, what) {
  const facts = seen.facts, isClient = side === seen.client;
  if (!isClient && what === "answer" && seen.stream) return listed(seen.stream);
  const told = isClient
    ? what === "ask" ? [["arrived", facts.timestamp + " UTC"]] : [["first token", ms(facts.ttft_ms)], ["total", ms(facts.duration_ms)], ["the proxy's own time", ms(facts.overhead_ms)]]
    : what === "ask" ? (facts.attempts || []).map((one, index) => [`attempt ${index + 1}: ${way(one.mode)}`, `${one.code || one.status || "–"} after ${ms(one.ms)}`]) : [["first token", ms(facts.ttft_ms)], ["status", String(facts.upstream_status ?? "–")]];
  return h("table", { class: "pairs" }, h("tbody", null, told.map(([name, value]) => h("tr", null, h("td", null, name), h("td", null, value)))));
}

// Two exchanges: what they have in common is not repeated, what differs between their answers is marked.
function beside(first, second) {
  const facts = [["Outcome", (f) => f.outcome], ["Status", (f) => f.status], ["Asked", (f) => way(f.send_mode)], ["Model", (f) => f.answered_model || "not told"], ["First token", (f) => ms(f.ttft_ms)],
    ["Total", (f) => ms(f.duration_ms)], ["Frames", (f) => count(f.chunks)], ["Tokens out", (f) => count(f.usage?.completion_tokens ?? f.usage?.output_tokens)], ["Repairs", (f) => (f.repairs || []).join(", ")]];
  const tab = wanted().tab === "json" || wanted().tab === "raw" ? wanted().tab : "chat";
  const side = (seen, title, marks) => h("div", null,
    h("dl", { class: "facts" }, facts.map(([name, of]) => [name, of(seen.facts)]).filter(([, value]) => value).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, String(value))))),
    trouble(seen.facts), pane(title, seen.client?.answer, () => inside(tab, seen, seen.client, "answer", marks)));
  const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "How it is shown" }, ["chat", "json", "raw"].map((name) =>
    h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(name === tab), onclick: () => go({ tab: name }, true) }, NAMES[name])));
  return [
    h("div", { class: "head" }, back(), h("h1", null, models(first.facts)), h("span", { class: "dim" }, "two answers to one ask"), h("span", { class: "grow" }),
      button("First alone", () => go({ with: "" }), { id: "first-alone" }), button("Second alone", () => go({ id: second.logging_id, with: "" }), { id: "second-alone" })),
    bar, h("div", { class: "panes two", id: "panes" }, side(first, `Then: ${first.facts.timestamp} UTC`, first.compared?.before), side(second, `Again: ${second.facts.timestamp} UTC`, first.compared?.after)),
  ];
}
