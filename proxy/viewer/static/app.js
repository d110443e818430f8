// The page: what its address wants is shown, and what happens meanwhile is added.
import { FILTERS, filtered, go, onMove, query, wanted } from "./address.js";
import { ask } from "./api.js";
import * as charts from "./charts.js";
import { $, h } from "./dom.js";
import * as exchange from "./exchange.js";
import { listen } from "./feed.js";
import { bytes, count, ms, way } from "./format.js";
import * as rows from "./rows.js";

const OFTEN = 1000, SELDOM = 5000;  // ms between two lists under a filter, and between two distributions, at least
let paused = false, greeted = false, missed = 0, listed = null, asking = 0, drawing = 0, drawnAt = 0, took = 0, later = 0, was = "";

// -- the list

async function list() {
  const values = wanted(), mine = ++asking;
  try {
    const said = await ask(`api/exchanges?${query(values, [...FILTERS, "before"])}&limit=${rows.PAGE + 1}`);
    if (mine !== asking) return;
    if (values.before || paused) rows.noneUnderWay();
    rows.replace(said.exchanges.slice(0, rows.PAGE));
    $("older").hidden = said.exchanges.length <= rows.PAGE;
    $("wrong").textContent = "";
    tell(said.complete);
  } catch (error) {
    if (mine !== asking) return;
    $("wrong").textContent = error.message;
    if (error.status === 400) nothing();
  }
}

// Under a filter that makes no sense nothing is shown, rather than what was there before.
function nothing() {
  rows.noneUnderWay();
  rows.replace([]);
  for (const id of ["older", "newest", "empty"]) $(id).hidden = true;
  $("count").textContent = "";
}

function tell(complete) {
  const values = wanted(), none = !rows.shown().length;
  $("newest").hidden = !values.before;
  $("count").textContent = rows.size() ? `${rows.size()} ${rows.size() > 1 ? "exchanges" : "exchange"}${complete ? "" : "; older ones are still being taken in"}` : "";
  $("empty").hidden = !none;
  $("empty").textContent = filtered(values) || values.before ? "Nothing fits." : complete ? "Nothing has been asked yet." : "The journals are being taken in …";
}

async function distributions() {
  const mine = ++drawing, began = performance.now();
  try {
    const told = await ask(`api/histogram?${query(wanted(), FILTERS)}&buckets=60`);
    if (mine !== drawing) return;
    took = performance.now() - began;
    drawnAt = Date.now();
    charts.histograms(told, (from, to) => go({ since: utc(from), until: utc(to), before: "" }));
  } catch (error) {  // the list says what is wrong
    if (mine === drawing && error.status === 400) charts.histograms({ buckets: [] }, () => {});
  }
}

const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 23);

function show() {
  const values = wanted(), isOne = Boolean(values.id), filters = query(values, [...FILTERS, "before"]);
  $("list").hidden = isOne;
  $("one").hidden = !isOne;
  for (const name of FILTERS) fill($("filters").elements[name], values[name]);
  if (isOne) return exchange.show(values.id, values.with);
  exchange.forget();
  if (listed !== filters) { listed = filters; rows.noneUnderWay(); list(); distributions(); } else if (!drawnAt) distributions();
  const last = rows.shown().find((row) => row.dataset.id === was);
  if (last) last.focus();
}

function fill(field, value) {
  if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === value)) field.append(h("option", { value }, value));
  field.value = value;
  field.classList.toggle("on", Boolean(value));
}

// -- what happens meanwhile

// Something may have happened that nobody told: the list is asked for again, or later if it is not seen just now.
function catchUp() {
  const values = wanted();
  if (values.id) listed = null;
  if (paused || values.id || values.before || listed === null) return;
  list();
  if (drawnAt && Date.now() - drawnAt > SELDOM) distributions();
}

function matches(row) {
  const values = wanted();
  if (values.text || values.outcome || values.status || values.until) return false;
  const fits = (pattern, name) => !pattern || new RegExp(`^${pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`).test(name || "");
  return (fits(values.model, row.model) || fits(values.model, row.sent_model)) && fits(values.path, (row.path || "").split("?")[0]);
}

const told = {
  open() { document.body.classList.remove("lost"); label(); greeted = false; },
  lost() { document.body.classList.add("lost"); label(); },
  missed: catchUp,
  trouble(said) { $("trouble").hidden = false; $("trouble").textContent = `The journals cannot be read: ${said.message}`; },
  news(said) {
    if (!greeted) {  // not before: between a list and the first news something might have been taken in that neither has
      greeted = true;
      catchUp();
    }
    $("trouble").hidden = !said.silent.length;
    if (said.silent.length) $("trouble").textContent = `Workers that do not answer: ${said.silent.join(", ")}`;
    const values = wanted();
    if (values.id && said.rows.some((row) => row.logging_id === values.id)) show();
    if (paused) { missed += said.rows.length; return label(); }
    if (values.before) return;
    rows.underWay(said.live.filter(matches), said.now);
    if (said.rows.length && filtered(values)) soon(list, OFTEN);
    else if (said.more) soon(list, OFTEN);
    else if (said.rows.length) { rows.add(said.rows); if (rows.size() >= rows.PAGE) $("older").hidden = false; }
    rows.paint();
    tell(said.complete);
    if (said.rows.length && !values.id && Date.now() - drawnAt > Math.max(SELDOM, 10 * took)) distributions();
  },
  health(said) { health(said); },
};

function soon(act, wait) {
  if (!later) later = setTimeout(() => { later = 0; act(); }, wait);
}

function label() {
  const words = document.body.classList.contains("lost") ? "Connecting …" : paused ? `Stopped${missed ? ` · ${missed} new` : ""}` : "Live";
  $("pause").querySelector("span").textContent = words;
  $("pause").setAttribute("aria-pressed", String(paused));
}

function pause() {
  paused = !paused;
  missed = 0;
  label();
  if (!paused) list();
}

// -- health

function health(said) {
  const sum = (of) => said.workers.reduce((total, one) => total + (of(one) || 0), 0), sums = said.sums;
  const set = (id, text, kind = "") => { $(id).textContent = text; $(id).className = kind; };
  const waiting = sum((one) => one.waiting), drops = sum((one) => one.journal?.drops), ill = said.workers.find((one) => one.journal?.trouble);
  const errors = sums ? (100 * sums.errors) / sums.n : 0;
  const learned = [...new Map(said.workers.flatMap((one) => one.learned || []).map((one) => [one.model, one])).values()];
  const three = (name) => (sums ? [50, 95, 99].map((percent) => ms(sums[`${name}p${percent}_ms`])).join(" · ") : "–");
  set("h-flight", `${sum((one) => one.in_flight)}${waiting ? ` + ${waiting} waiting` : ""}`, waiting ? "warn" : "");
  set("h-rate", sums ? `${((60 * sums.n) / said.span_s).toFixed(1)} / min` : "0 / min");
  set("h-errors", sums ? `${errors.toFixed(errors && errors < 10 ? 1 : 0)} %` : "–", errors > 5 ? "bad" : errors ? "warn" : "");
  set("h-total", three(""));
  set("h-first", three("ttft_"));
  set("h-tokens", sums ? `${count(sums.tokens_in)} · ${count(sums.tokens_out)}` : "–");
  set("h-journal", ill ? ill.journal.trouble : drops ? `${drops} lost` : said.unread_bytes ? `${bytes(said.unread_bytes)} behind` : "up to date", ill || drops ? "bad" : said.unread_bytes > 1e6 ? "warn" : "");
  set("h-memory", bytes(sum((one) => one.rss_bytes)));
  set("h-learned", learned.length > 1 ? `${learned.length} models` : learned.length ? `${learned[0].model}: ${taught(learned[0])}` : "none");
  $("h-learned").title = learned.map((one) => `${one.model}: ${taught(one)}`).join("\n");
  $("workers-body").replaceChildren(...workers(said, learned));
}

const taught = (one) => (one.stream === null ? "amended" : way(one.stream ? "stream" : "non_stream"));

function workers(said, learned) {
  const table = (names, lines) => h("table", null, h("thead", null, h("tr", null, names.map((name) => h("th", null, name)))), h("tbody", null, lines.map((line) => h("tr", null, line.map((cell) => h("td", null, String(cell)))))));
  return [
    table(["Worker", "Since (UTC)", "In flight", "Waiting", "Memory", "Lines lost", "Journal"], said.workers.map((one) =>
      [one.worker, one.started, one.in_flight, one.waiting, bytes(one.rss_bytes), one.journal?.drops ?? "–", one.journal?.trouble || (one.draining ? "stopping" : "ok")])),
    h("h2", null, "Learned modes"),
    learned.length ? table(["Model", "Asked", "For another"], learned.map((one) => [one.model, taught(one), ms(one.seconds_left * 1000)])) : h("p", { class: "dim" }, "None: no model has refused a mode of late."),
    said.alone ? h("p", { class: "wrong" }, `This worker cannot meet the others: ${said.alone}`) : null,
  ].filter(Boolean);
}

// -- hands

const form = $("filters");
form.addEventListener("submit", (event) => { event.preventDefault(); go({ ...Object.fromEntries(new FormData(form)), before: "", id: "" }); });
form.elements.outcome.addEventListener("change", () => form.requestSubmit());
$("clear").onclick = () => go(Object.fromEntries([...FILTERS, "before"].map((name) => [name, ""])));
$("older").onclick = () => { go({ before: rows.oldest() }); scrollTo(0, 0); };
$("newest").onclick = () => go({ before: "" });
$("home").onclick = (event) => { event.preventDefault(); go(Object.fromEntries([...FILTERS, "before", "id", "with", "tab"].map((name) => [name, ""]))); };
$("pause").onclick = pause;
for (const [opener, dialog] of [["show-settings", "settings"], ["show-health", "workers"], ["show-keys", "keys"]]) $(opener).onclick = () => $(dialog).showModal();

$("rows").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (!row || event.target.closest("button") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open(row);
});

function open(row) {
  was = row.dataset.id;
  go({ id: row.dataset.id, with: "", tab: wanted().tab });
}

function step(by) {
  const all = rows.shown(), here = all.indexOf(document.activeElement.closest?.("#rows tr"));
  const next = all[here < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + by))];
  if (!next) return;
  for (const row of all) row.tabIndex = row === next ? 0 : -1;
  next.focus();
}

const onList = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1), p: pause, "?": () => $("keys").showModal(),
  "/": () => form.elements.text.select(), Enter: (event) => { const row = event.target.closest("#rows tr"); if (row) open(row); else return false; },
};
const onOne = {
  Escape: () => go({ id: "", with: "", tab: "" }), p: pause, "?": () => $("keys").showModal(),
  ...Object.fromEntries(exchange.TABS.map((tab, index) => [String(index + 1), () => go({ tab }, true)])),
};

addEventListener("keydown", (event) => {
  const field = event.target.closest("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (field) { if (event.key === "Escape") field.blur(); return; }
  if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
  const act = ($("list").hidden ? onOne : onList)[event.key];
  if (act && act(event) !== false) event.preventDefault();
});

onMove(show);
show();
listen(told);
